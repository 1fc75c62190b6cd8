//! What the cluster holds of ours, kept up to date by watches: whoever asks for what is there
//! already costs the API server nothing.

use super::cluster::chain;
use super::identity::Identity;
use super::object::DatabaseSpec;
use backon::ExponentialBuilder;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DynamicObject;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher::{Event, ExponentialBackoff};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt as _};
use lumadb_contract::cluster::INSTANCE_SECRET_KEY;
use lumadb_contract::id::DatabaseId;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Why nothing goes on with a database whose volume is gone, as its operator says it.
const VOLUME_LOST: &str = "VolumeLost";

/// A `LumaDatabase` as it was seen or written last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenDatabase {
    id: DatabaseId,
    version: Option<u64>,
    pub(super) uid: String,
    /// Deleted, and not gone yet.
    pub(super) is_leaving: bool,
    /// Its operator says that the volume that it had is gone.
    pub(super) is_lost: bool,
    /// `None` where it says something that we would never write.
    pub(super) spec: Option<DatabaseSpec>,
}

/// The Secret beside one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenSecret {
    id: DatabaseId,
    version: Option<u64>,
    digest: Option<[u8; 32]>,
    owner_uid: Option<String>,
    /// What its node is known by.
    pub(super) identity: Option<Identity>,
}

impl SeenSecret {
    pub(super) fn says(&self, content: &str, owner_uid: &str) -> bool {
        self.digest == Some(digest(content.as_bytes()))
            && self.owner_uid.as_deref() == Some(owner_uid)
    }
}

fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

/// What is read of an object.
pub(super) trait Read: Sized + Clone {
    type Object: Resource + Clone + DeserializeOwned + Debug + Send + 'static;

    /// `None`: no object of a database.
    fn of(object: &Self::Object) -> Option<Self>;
    fn id(&self) -> DatabaseId;
    /// Grows with each write (Kubernetes 1.35, KEP-5504); `None` where it cannot be read.
    fn version(&self) -> Option<u64>;
}

fn version(object: &impl Resource) -> Option<u64> {
    object.meta().resource_version.as_ref()?.parse().ok()
}

fn says_volume_lost(object: &DynamicObject) -> bool {
    let conditions = object.data.pointer("/status/conditions");
    let conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|condition| {
        condition["type"] == "Stalled"
            && condition["status"] == "True"
            && condition["reason"] == VOLUME_LOST
    })
}

impl Read for SeenDatabase {
    type Object = DynamicObject;

    fn of(object: &DynamicObject) -> Option<Self> {
        Some(Self {
            id: DatabaseId::parse_label(&object.name_any()).ok()?,
            version: version(object),
            uid: object.uid()?,
            is_leaving: object.metadata.deletion_timestamp.is_some(),
            is_lost: says_volume_lost(object),
            spec: serde_json::from_value(object.data.get("spec")?.clone()).ok(),
        })
    }

    fn id(&self) -> DatabaseId {
        self.id
    }

    fn version(&self) -> Option<u64> {
        self.version
    }
}

impl Read for SeenSecret {
    type Object = Secret;

    fn of(object: &Secret) -> Option<Self> {
        let content = object
            .data
            .as_ref()
            .and_then(|data| data.get(INSTANCE_SECRET_KEY));
        let owners = object.metadata.owner_references.as_ref();
        Some(Self {
            id: DatabaseId::parse_label(&object.name_any()).ok()?,
            version: version(object),
            digest: content.map(|content| digest(&content.0)),
            identity: content
                .and_then(|content| serde_json::from_slice(&content.0).ok())
                .and_then(Identity::of),
            owner_uid: owners
                .and_then(|owners| owners.first())
                .map(|owner| owner.uid.clone()),
        })
    }

    fn id(&self) -> DatabaseId {
        self.id
    }

    fn version(&self) -> Option<u64> {
        self.version
    }
}

#[derive(Debug)]
struct Rows<T> {
    rows: HashMap<DatabaseId, T>,
    /// What a list names, until it is whole.
    listed: HashMap<DatabaseId, T>,
}

/// Whether the cluster was listed once, and what was last wrong.
#[derive(Debug, Clone, Default)]
struct Health {
    is_listed: bool,
    error: Option<String>,
}

/// Objects of one kind.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: Mutex<Rows<T>>,
    health: watch::Sender<Health>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: Mutex::new(Rows {
                rows: HashMap::new(),
                listed: HashMap::new(),
            }),
            health: watch::Sender::default(),
        }
    }
}

impl<T: Read> Table<T> {
    fn rows(&self) -> MutexGuard<'_, Rows<T>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: DatabaseId) -> Option<T> {
        self.rows().rows.get(&id).cloned()
    }

    pub(super) fn ids(&self) -> Vec<DatabaseId> {
        self.rows().rows.keys().copied().collect()
    }

    /// Takes in what was written: a watch that is behind does not undo it.
    pub(super) fn put(&self, row: T) {
        put(&mut self.rows().rows, row);
    }

    pub(super) fn remove(&self, id: DatabaseId) {
        self.rows().rows.remove(&id);
    }

    /// Waits until the cluster was listed; otherwise says why it was not.
    pub(super) async fn listed(&self, limit: Duration) -> Result<(), String> {
        let mut health = self.health.subscribe();
        let listed = health.wait_for(|health| health.is_listed);
        let is_listed = matches!(tokio::time::timeout(limit, listed).await, Ok(Ok(_)));
        if is_listed {
            return Ok(());
        }
        let error = health.borrow().error.clone();
        Err(error.unwrap_or_else(|| "it has not answered yet".into()))
    }

    pub(super) async fn follow(&self, api: Api<T::Object>, selector: &str) {
        let config = watcher::Config::default().labels(selector);
        let mut events = watcher(api, config).backoff(backoff()).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take(&event),
                Err(error) => self.away(chain(&error)),
            }
        }
    }

    /// Says once that the cluster is away, and not again until it was back.
    fn away(&self, error: String) {
        self.health.send_if_modified(|health| {
            if health.error.is_none() {
                tracing::warn!(error, "the cluster is not seen");
            }
            health.error = Some(error);
            true
        });
    }

    fn take(&self, event: &Event<T::Object>) {
        let mut rows = self.rows();
        match event {
            Event::Init => rows.listed.clear(),
            Event::InitApply(object) => {
                if let Some(row) = T::of(object) {
                    rows.listed.insert(row.id(), row);
                }
            }
            Event::InitDone => {
                rows.rows = std::mem::take(&mut rows.listed);
            }
            Event::Apply(object) => {
                if let Some(row) = T::of(object) {
                    put(&mut rows.rows, row);
                }
            }
            Event::Delete(object) => {
                if let Some(gone) = T::of(object) {
                    let is_newer = rows
                        .rows
                        .get(&gone.id())
                        .is_some_and(|known| known.version() > gone.version());
                    if !is_newer {
                        rows.rows.remove(&gone.id());
                    }
                }
            }
        }
        drop(rows);
        let is_done = matches!(event, Event::InitDone);
        self.health.send_if_modified(|health| {
            health.error = None;
            let is_first = is_done && !health.is_listed;
            health.is_listed |= is_done;
            is_first
        });
    }
}

fn put<T: Read>(rows: &mut HashMap<DatabaseId, T>, row: T) {
    let is_older = rows
        .get(&row.id())
        .is_some_and(|known| known.version() > row.version());
    if !is_older {
        rows.insert(row.id(), row);
    }
}

/// Objects of this region.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) databases: Table<SeenDatabase>,
    pub(super) secrets: Table<SeenSecret>,
}

impl Seen {
    /// Databases of which the cluster holds something of ours.
    pub(super) fn ids(&self) -> Vec<DatabaseId> {
        let all: HashSet<_> = self
            .databases
            .ids()
            .into_iter()
            .chain(self.secrets.ids())
            .collect();
        all.into_iter().collect()
    }

    /// Waits until the cluster was listed; otherwise says why it was not.
    pub(super) async fn listed(&self, limit: Duration) -> Result<(), String> {
        self.databases.listed(limit).await?;
        self.secrets.listed(limit).await
    }
}

/// Pause before a watch that broke off begins again; each is twice as long as the one before.
const WATCH_FIRST: Duration = Duration::from_millis(800);

/// As long as the operator waits, which has its watches on the same API server: what a customer asks
/// for is not written before the cluster was seen again.
const WATCH_MAX: Duration = Duration::from_secs(5);

/// A watch that held for so long begins anew with the first wait.
const WATCH_RESET_AFTER: Duration = Duration::from_secs(30);

/// The waits of one watch, without end.
fn backoff() -> impl Backoff {
    let doubling = ExponentialBuilder::default()
        .with_min_delay(WATCH_FIRST)
        .with_max_delay(WATCH_MAX)
        .with_factor(2.0)
        .without_max_times();
    ResetTimerBackoff::new(ExponentialBackoff::from(doubling), WATCH_RESET_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lost(status: &str, kind: &str, reason: &str) -> bool {
        let object = json!({
            "apiVersion": "lumadb.cloud/v1alpha1", "kind": "LumaDatabase", "metadata": {},
            "status": { "conditions": [
                { "type": "Ready", "status": "False", "reason": "VolumeLost" },
                { "type": kind, "status": status, "reason": reason },
            ] },
        });
        says_volume_lost(&serde_json::from_value(object).expect("an object"))
    }

    #[test]
    fn a_volume_is_lost_when_the_operator_says_that_nothing_goes_on_for_it() {
        assert!(lost("True", "Stalled", "VolumeLost"));
        assert!(!lost("False", "Stalled", "VolumeLost"));
        assert!(!lost("True", "Stalled", "VolumeReplaced"));
        assert!(!lost("True", "Reconciling", "VolumeLost"));
    }

    #[test]
    fn a_cluster_that_was_away_for_hours_is_asked_as_often_as_one_that_was_for_seconds() {
        let waits: Vec<_> = backoff().take(1000).collect();
        assert_eq!(waits.len(), 1000);
        // They are calculated in floating point.
        let doubled = (waits[0].as_millis(), waits[1].as_millis());
        assert_eq!(
            doubled,
            (WATCH_FIRST.as_millis(), 2 * WATCH_FIRST.as_millis())
        );
        assert!(waits.iter().all(|wait| *wait <= WATCH_MAX), "{waits:?}");
        assert_eq!(waits[999], WATCH_MAX);
    }
}
