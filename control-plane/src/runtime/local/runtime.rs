//! The local runtime itself.

use super::super::{Cleared, IfAbsent, Observation, Reports, Runtime, RuntimeError};
use super::authority::{Authority, CERTIFICATE_LIFETIME, CERTIFICATE_RENEWAL};
use super::files::{self, Durability};
use super::folder::{self, FolderError, Programs};
use super::instance::{Goal, Instance, InstanceParts, InstancePrograms};
use super::layout::{DataFolder, InstanceFolder};
use super::lost::{Loss, Place};
use super::parent::{NodeUser, Parent, SampleSink, parent_listen, parent_serve};
use super::pool::Pool;
use super::proc;
use super::process::Processes;
use super::spans::SpanBook;
use crate::clock::Clock;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstanceSpec, RunState, TlsIdentity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::broadcast;

/// Changes that a slow reader may be behind before it has to look at everything.
const CHANGES_WAITING_MAX: usize = 1024;

/// Longest wait for the last spans to be stored when the runtime leaves.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Time for a process whose folder is gone to end by itself.
const CLEAR_GRACE: Duration = Duration::from_secs(5);

/// Looks whether an engine that was killed has ended, and between two of them.
const ENGINE_END_LOOKS: u32 = 100;
const ENGINE_END_PAUSE: Duration = Duration::from_millis(20);

/// What a local runtime is made with.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    pub data: DataFolder,
    pub programs: Programs,
    /// Ready folders to keep.
    pub pool_size: usize,
    /// Host of the region: a database's own name is `db-….<host>`.
    pub host: String,
    /// Variables of every node: how it logs in to an object store whose credentials its spec does
    /// not hold.
    pub node_environment: Vec<(OsString, OsString)>,
}

/// Keeps processes and folders of the databases of one machine.
#[derive(Debug)]
pub struct LocalRuntime {
    config: LocalConfig,
    clock: Clock,
    reports: Reports,
    processes: Processes,
    parent: Parent,
    pool: Arc<Pool>,
    /// Whether databases' folders are where they were.
    place: Place,
    authority: Authority,
    spans: Arc<SpanBook>,
    slots: Mutex<HashMap<DatabaseId, Arc<Slot>>>,
    changes: broadcast::Sender<DatabaseId>,
    background: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

/// One database: its instance, and the lock under which it is made and removed.
#[derive(Debug, Default)]
struct Slot {
    instance: Arc<tokio::sync::Mutex<Option<Instance>>>,
    observation: Mutex<Option<tokio::sync::watch::Receiver<Observation>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalRuntime {
    /// Takes over the data folder: adopts the processes of every database, removes what was left
    /// half-made, and begins to fill the pool and to take the nodes' calls.
    pub async fn open(
        config: LocalConfig,
        reports: Reports,
        clock: Clock,
    ) -> Result<Arc<Self>, RuntimeError> {
        let data = &config.data;
        let authority = Authority::open(&data.authority(), clock.now())
            .map_err(|error| RuntimeError::Retry(error.to_string()))?;
        let socket = data.parent_socket();
        let listener =
            parent_listen(&socket).map_err(|error| retry(&FolderError::file(&socket, error)))?;
        let processes = Processes::new(data.clone());
        processes
            .recover(|name| database_of(name).is_some() || name.starts_with("prepare."))
            .await
            .map_err(|error| RuntimeError::Retry(error.to_string()))?;
        let pool = Pool::open(data.clone(), config.programs.clone(), config.pool_size).await;
        let runtime = Arc::new(Self {
            parent: Parent::new(SampleSink::Reports(reports.clone())),
            spans: SpanBook::open(data.root().join("spans.json"), clock.clone()),
            processes,
            pool,
            place: Place::open(&config.data),
            authority,
            slots: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES_WAITING_MAX),
            background: Mutex::default(),
            config,
            clock,
            reports,
        });
        runtime.adopt().await;
        let parent = runtime.parent.clone();
        let serving = tokio::spawn(async move {
            if let Err(error) = parent_serve(parent, listener).await {
                tracing::error!(%error, "nodes cannot reach their parent");
            }
        });
        let filling = tokio::spawn(runtime.pool.clone().fill());
        let delivering = tokio::spawn(runtime.spans.clone().deliver(runtime.reports.clone()));
        lock(&runtime.background).extend([serving, filling, delivering]);
        Ok(runtime)
    }

    /// Makes an instance of everything that runs.
    async fn adopt(self: &Arc<Self>) {
        let mut found: BTreeSet<DatabaseId> = BTreeSet::new();
        for name in self.processes.recorded() {
            let Some(database) = database_of(&name) else {
                continue;
            };
            if self.processes.find(&name).is_some() {
                found.insert(database);
            } else {
                self.processes.forget(&name);
            }
        }
        let orphans = self.folders().into_iter();
        found
            .extend(orphans.filter(|id| self.config.data.instance(*id).engine_process().is_some()));
        for database in found {
            let folder = self.config.data.instance(database);
            if folder.engine_process().is_some() {
                self.spans.claim(database);
            }
            let (slot, mut instance) = self.slot_lock(database).await;
            match self.instance_new(database, &folder, &slot, Goal::AsFound) {
                Ok(made) => *instance = Some(made),
                Err(error) => tracing::error!(%database, %error, "could not adopt an instance"),
            }
        }
        self.spans.end_unclaimed();
    }

    fn slot(&self, database: DatabaseId) -> Arc<Slot> {
        lock(&self.slots).entry(database).or_default().clone()
    }

    /// The slot of a database, locked. One that was removed meanwhile is not it any more.
    async fn slot_lock(
        &self,
        database: DatabaseId,
    ) -> (Arc<Slot>, tokio::sync::OwnedMutexGuard<Option<Instance>>) {
        loop {
            let slot = self.slot(database);
            let instance = slot.instance.clone().lock_owned().await;
            if Arc::ptr_eq(&slot, &self.slot(database)) {
                return (slot, instance);
            }
        }
    }

    fn instance_new(
        &self,
        database: DatabaseId,
        folder: &InstanceFolder,
        slot: &Slot,
        goal: Goal,
    ) -> Result<Instance, FolderError> {
        let owners = folder.owners()?;
        let data = &self.config.data;
        let programs = InstancePrograms::new(
            &self.config.programs,
            folder,
            owners,
            &data.parent_socket(),
            database,
            &database.to_string(),
        )
        .with_node_environment(&self.config.node_environment);
        let parts = InstanceParts {
            database,
            folder: folder.clone(),
            programs,
            processes: self.processes.clone(),
            expected: self
                .parent
                .expect(database, NodeUser(owners.map(|owners| owners.node))),
            spans: Some(self.spans.clone()),
        };
        let instance = Instance::new(parts, goal);
        let mut observation = instance.observation();
        *lock(&slot.observation) = Some(observation.clone());
        let changes = self.changes.clone();
        tokio::spawn(async move {
            while observation.changed().await.is_ok() {
                // Nobody listening is fine: the next to come looks at everything.
                let _ = changes.send(database);
            }
            let _ = changes.send(database);
        });
        Ok(instance)
    }

    /// The certificate of a database's own host name, issued anew when it comes to its end, or when
    /// the folder serves another.
    fn certificate(
        &self,
        database: DatabaseId,
        folder: &InstanceFolder,
    ) -> Result<TlsIdentity, RuntimeError> {
        #[derive(Serialize, Deserialize)]
        struct Issued {
            names: Vec<String>,
            #[serde(with = "time::serde::rfc3339")]
            expires_at: OffsetDateTime,
            identity: TlsIdentity,
        }
        let now = self.clock.now();
        let names = vec![format!("{}.{}", database.host_label(), self.config.host)];
        let path = folder.certificate();
        let kept = fs::read(&path).ok();
        let kept = kept.and_then(|text| serde_json::from_slice::<Issued>(&text).ok());
        if let Some(kept) = kept
            && kept.names == names
            && kept.expires_at - CERTIFICATE_RENEWAL > now
            && kept
                .identity
                .certificate_chain_pem
                .ends_with(self.authority.certificate_pem())
        {
            return Ok(kept.identity);
        }
        let identity = self
            .authority
            .issue(&names, now)
            .map_err(|error| RuntimeError::GiveUp(error.to_string()))?;
        let issued = Issued {
            names,
            expires_at: now + CERTIFICATE_LIFETIME,
            identity,
        };
        serde_json::to_vec(&issued)
            .map_err(io::Error::from)
            .and_then(|text| files::replace(&path, &text, 0o600, Durability::Process))
            .map_err(|error| retry(&FolderError::file(&path, error)))?;
        Ok(issued.identity)
    }

    /// Databases that have a folder.
    fn folders(&self) -> Vec<DatabaseId> {
        let entries = fs::read_dir(self.config.data.instances());
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Leaves every process to the next runtime, or ends them in order.
    pub async fn close(&self, end: bool) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).drain().map(|(_, slot)| slot).collect();
        let mut closing = tokio::task::JoinSet::new();
        for slot in slots {
            closing.spawn(async move {
                let instance = slot.instance.lock().await.take();
                match instance {
                    Some(instance) if end => instance.end().await,
                    Some(instance) => instance.leave().await,
                    None => {}
                }
            });
        }
        closing.join_all().await;
        for task in lock(&self.background).drain(..) {
            task.abort();
        }
        self.pool.close().await;
        self.spans.flush(&self.reports, FLUSH_LIMIT).await;
    }

    async fn start(&self, mut spec: InstanceSpec, if_absent: IfAbsent) -> Result<(), RuntimeError> {
        let database = spec.database_id;
        let folder = self.config.data.instance(database);
        let (slot, mut instance) = self.slot_lock(database).await;
        if if_absent == IfAbsent::GiveUp && !folder.exists() {
            let shown = folder.root().display();
            return Err(match self.place.loss(&folder) {
                Loss::Certain => RuntimeError::Gone(format!("its folder is gone ({shown})")),
                Loss::Doubtful(why) => RuntimeError::GiveUp(format!(
                    "its folder is not there ({shown}), and an empty database does not take its place: {why}"
                )),
            });
        }
        self.pool
            .take(&folder)
            .await
            .map_err(|error| retry(&error))?;
        if spec.tls.is_none() {
            spec.tls = Some(self.certificate(spec.serves(), &folder)?);
        }
        let goal = Goal::Spec(Arc::new(spec));
        if let Some(instance) = &*instance {
            instance.go(goal);
        } else {
            let made = self.instance_new(database, &folder, &slot, goal);
            *instance = Some(made.map_err(|error| retry(&error))?);
        }
        Ok(())
    }

    /// Removes what there is of an instance of which nothing runs. Its slot must be locked.
    async fn discard(&self, database: DatabaseId) -> Result<(), RuntimeError> {
        self.parent.forget(database);
        let folder = self.config.data.instance(database);
        if folder.root().exists() {
            let label = uuid::Uuid::from_bytes(rand::random()).simple();
            let trash = self.config.data.trash().join(format!("{database}-{label}"));
            fs::rename(folder.root(), &trash)
                .map_err(|error| retry(&FolderError::file(folder.root(), error)))?;
            folder::sync_parents(folder.root(), &trash).map_err(|error| retry(&error))?;
            folder::folder_destroy(trash).await;
        }
        for kind in ["engine", "node"] {
            self.processes.forget_log(&format!("{kind}.{database}"));
        }
        lock(&self.slots).remove(&database);
        Ok(())
    }

    async fn wind_down(&self, mut spec: InstanceSpec) -> Result<(), RuntimeError> {
        let database = spec.database_id;
        let slot = lock(&self.slots).get(&database).cloned();
        let Some(slot) = slot else {
            return Ok(());
        };
        let instance = slot.instance.lock().await;
        if let Some(instance) = &*instance {
            if spec.tls.is_none() {
                let folder = self.config.data.instance(database);
                spec.tls = Some(self.certificate(spec.serves(), &folder)?);
            }
            instance.go(Goal::Spec(Arc::new(spec)));
        }
        Ok(())
    }
}

impl Runtime for LocalRuntime {
    async fn apply(&self, spec: InstanceSpec, if_absent: IfAbsent) -> Result<(), RuntimeError> {
        match spec.run {
            RunState::Running => self.start(spec, if_absent).await,
            RunState::Asleep | RunState::Stopped => self.wind_down(spec).await,
        }
    }

    async fn remove(&self, database: DatabaseId) -> Result<(), RuntimeError> {
        let (_slot, mut instance) = self.slot_lock(database).await;
        if let Some(instance) = instance.take() {
            instance.end().await;
        }
        self.discard(database).await
    }

    async fn clear(&self, database: DatabaseId) -> Result<Cleared, RuntimeError> {
        let folder = self.config.data.instance(database);
        let is_lost = || match self.place.loss(&folder) {
            Loss::Certain => Ok(true),
            Loss::Doubtful(_) if folder.exists() => Ok(false),
            Loss::Doubtful(why) => Err(RuntimeError::Retry(why)),
        };
        let (_slot, mut instance) = self.slot_lock(database).await;
        if !is_lost()? {
            return Ok(Cleared::Back);
        }
        if let Some(instance) = instance.take() {
            instance.end().await;
        }
        // Of what was found at a start without its folder no instance could be made.
        for kind in ["node", "engine"] {
            let name = format!("{kind}.{database}");
            if let Some((mut process, _)) = self.processes.find(&name) {
                process.stop(CLEAR_GRACE).await;
            }
            self.processes.forget(&name);
        }
        if !is_lost()? {
            return Ok(Cleared::Back);
        }
        end_engines_of(&folder)
            .await
            .map_err(|error| retry(&error))?;
        self.spans.set(database, None);
        self.discard(database).await?;
        Ok(Cleared::Gone)
    }

    async fn list(&self) -> Result<Vec<DatabaseId>, RuntimeError> {
        let mut all: BTreeSet<DatabaseId> = self.folders().into_iter().collect();
        all.extend(lock(&self.slots).keys());
        Ok(all.into_iter().collect())
    }

    fn observe(&self, database: DatabaseId) -> Observation {
        let slot = lock(&self.slots).get(&database).cloned();
        let Some(slot) = slot else {
            return Observation::Absent;
        };
        let observation = lock(&slot.observation);
        match &*observation {
            Some(observation) => observation.borrow().clone(),
            None => Observation::Absent,
        }
    }

    fn changes(&self) -> broadcast::Receiver<DatabaseId> {
        self.changes.subscribe()
    }
}

/// Ends the engine whose data folder was removed while it stood in it: nothing that it does can be
/// kept, and it would notice within a minute by itself.
async fn end_engines_of(folder: &InstanceFolder) -> Result<(), FolderError> {
    let above = folder.root().parent().unwrap_or(folder.root());
    let real = fs::canonicalize(above).map_err(|error| FolderError::file(above, error))?;
    let name = folder.root().file_name().unwrap_or_default();
    let data = InstanceFolder::new(real.join(name)).data();
    let left = proc::standing_in_removed(&data);
    for pid in &left {
        tracing::warn!(pid, "ended an engine whose folder is gone");
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    for pid in left {
        let mut looks = 0;
        while proc::start_time(pid).is_some() && looks < ENGINE_END_LOOKS {
            looks += 1;
            tokio::time::sleep(ENGINE_END_PAUSE).await;
        }
    }
    Ok(())
}

/// `db_…` of `engine.db_…` or `node.db_…`.
fn database_of(name: &str) -> Option<DatabaseId> {
    let rest = name.strip_prefix("engine.");
    rest.or_else(|| name.strip_prefix("node."))?.parse().ok()
}

/// A folder or a process that fails now may work later: the disk gets room, the program appears.
fn retry(error: &FolderError) -> RuntimeError {
    RuntimeError::Retry(error.to_string())
}
