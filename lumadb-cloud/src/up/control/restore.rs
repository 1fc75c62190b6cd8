//! `lumadb-cloud restore-control`: the control plane's database out of the bucket and the master
//! key.
//!
//! It is restored in a folder beside its own, by a node, as any database is, and renamed when it is
//! whole: whoever kills this kills nothing, and begins again.

use super::archive::{self, ORGANIZATION};
use super::found::Found;
use super::spec::KeptSpec;
use super::{Attached, Place, is_ready, status_of};
use crate::config::Config;
use crate::keys::KeyFiles;
use crate::service::{object_store, s3, with_cause};
use crate::up::error::UpError;
use crate::up::{Stop, folder, programs, say, services};
use lumadb_contract::archive::{RestorePhase, RestoreSpec, RestoreTarget};
use lumadb_contract::id::ArchiveId;
use lumadb_contract::key_chain::KeyChain;
use lumadb_control_plane::app::archive::{Archives, Rights};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::identity::master_keys::KeyFile;
use lumadb_control_plane::runtime::Observation;
use lumadb_control_plane::runtime::local::authority::Authority;
use lumadb_control_plane::runtime::local::folder::{
    Programs, folder_destroy, folder_make, sync_parents,
};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::pool::makers_stop;
use lumadb_control_plane::runtime::local::process::Processes;
use lumadb_control_plane::runtime::local::user_ids;
use lumadb_data_plane::archive::layout::Layout;
use lumadb_data_plane::archive::store::ObjectStore;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How the processes of a restore are called.
const SUFFIX: &str = "control-restoring";

/// Longest time for what a killed restore left running to end.
const GRACE: Duration = Duration::from_secs(30);

/// What to bring back.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) target: RestoreTarget,
    /// `None`: the newest one of the control plane's that has a backup.
    pub(crate) archive: Option<ArchiveId>,
}

/// Restores, tells what the restored database does not know, and leaves everything ready for `up`.
pub(crate) async fn run(data: &DataFolder, config: &Config, asked: Asked) -> Result<(), UpError> {
    let mut stop = Stop::listen()?;
    let data = folder::prepare(data)?;
    let _lock = folder::lock(&data)?;
    let control = data.control();
    if control.root().exists() {
        return Err(UpError::ControlThere(control.root().to_owned()));
    }
    let keys = KeyFiles::new(data.keys());
    if !keys.master().exists() {
        return Err(UpError::MasterKeyMissing(keys.master()));
    }
    let explain = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
    user_ids::claim(&data).map_err(|error| explain(&error))?;
    let programs = programs::find(&data, config)?;
    let clock = Clock::system();
    keys.ensure(&KeyFile::new(Arc::new(config.kms.clone())))
        .map_err(|error| explain(&error))?;
    Authority::open(&data.authority(), clock.now()).map_err(|error| explain(&error))?;
    // Services of an `up` that was killed use the folder that was here, and hold its store.
    services::end_all(&data).await;
    end(&data, "control").await;
    let restored = async {
        let store = BuiltIn::start(&data, config).await?;
        let archives = archive::archives(&data, config, store.address)?;
        let all = ObjectStore::open(&object_store::store_of_all(&archives)).await;
        let chain = choose(&data, &all, asked.archive).await?;
        let source = RestoreSpec {
            source: archives
                .access_by(&chain, Rights::Read)
                .map_err(|error| explain(&error))?,
            target: asked.target,
            verify: false,
        };
        say::line(&format!("Restoring from the archive {}", chain.archive_id));
        let found = restore(&data, config, &programs, source, &clock, &all).await?;
        put_in_place(&data, &archives, &clock)?;
        store.end();
        Ok::<_, UpError>(found)
    };
    let restored = tokio::select! {
        restored = restored => restored,
        () = stop.told() => Err(UpError::Interrupted),
    };
    match restored {
        Ok(found) => {
            found.tell();
            say::line(
                "The control plane's database is restored; `lumadb-cloud up` goes on with it",
            );
            Ok(())
        }
        Err(error) => {
            makers_stop(&data).await;
            sweep(&data).await;
            Err(error)
        }
    }
}

/// The built-in object store while nothing else serves it; where another one is configured,
/// nothing.
struct BuiltIn {
    address: std::net::SocketAddr,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl BuiltIn {
    async fn start(data: &DataFolder, config: &Config) -> Result<Self, UpError> {
        if !config.object_store.is_built_in() {
            return Ok(Self {
                address: config.object_store.listen,
                serving: None,
            });
        }
        let explain = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(|error| explain(&error))?;
        let address = listener.local_addr().map_err(|error| explain(&error))?;
        let server = s3::server(data).map_err(|error| explain(&error))?;
        let serving = tokio::spawn(async move {
            let never = std::future::pending::<()>();
            if let Err(error) = lumadb_s3_server::serve(server, listener, never).await {
                say::line(&format!("The object store ended: {}", with_cause(&error)));
            }
        });
        Ok(Self {
            address,
            serving: Some(serving),
        })
    }

    fn end(self) {
        if let Some(serving) = self.serving {
            serving.abort();
        }
    }
}

/// The keys of the archive to restore from: they lie in it.
async fn choose(
    data: &DataFolder,
    store: &ObjectStore,
    asked: Option<ArchiveId>,
) -> Result<KeyChain, UpError> {
    let explain = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
    let mut ids: Vec<ArchiveId> = if let Some(id) = asked {
        vec![id]
    } else {
        let folders = store.list_folders("").await;
        let folders = folders.map_err(|error| explain(&error))?;
        let names = folders.iter().map(|it| it.trim_matches('/'));
        names.filter_map(|name| name.parse().ok()).collect()
    };
    // Identifiers sort by the time of their making.
    ids.sort_unstable();
    for id in ids.into_iter().rev() {
        let read = archive::chain_read(store, id).await;
        let Some((_, chain)) = read
            .map_err(|error| explain(&error))?
            .filter(|(_, chain)| chain.organization_id == ORGANIZATION)
        else {
            continue;
        };
        let backups = store.list_page(&Layout::new(id).catalogue(), None).await;
        if !backups.map_err(|error| explain(&error))?.objects.is_empty() {
            return Ok(chain);
        }
        say::line(&format!("The archive {id} holds no complete backup"));
    }
    Err(UpError::NotRestored(match asked {
        Some(id) => format!("{id} is no archive of the control plane's with a complete backup"),
        None => "the object store holds no archive of the control plane's with a complete backup: see whether the configuration names the right bucket".into(),
    }))
}

/// Restores beside the place where the database belongs, and looks around with it.
async fn restore(
    data: &DataFolder,
    config: &Config,
    programs: &Programs,
    source: RestoreSpec,
    clock: &Clock,
    store: &ObjectStore,
) -> Result<Found, UpError> {
    sweep(data).await;
    let place = Place {
        folder: data.control_restoring(),
        suffix: SUFFIX,
        parent: data.up_parent_socket(),
    };
    let making = folder_make(data, programs, place.folder.root()).await;
    making.map_err(|error| UpError::explain(data.root(), &error))?;
    let spec = KeptSpec::open(data, clock)?.next(None, Some(source))?;
    let generation = spec.generation;
    let attached = Attached::new(data, config, programs, &place, spec)?;
    let mut observation = attached.instance.observation();
    let mut told = None;
    loop {
        let observed = observation.borrow_and_update().clone();
        if is_ready(&observed, generation) {
            break;
        }
        if let Some(refusal) = refusal(&observed) {
            attached.end().await;
            return Err(UpError::NotRestored(refusal));
        }
        let error = status_of(&observed).and_then(|status| status.error.clone());
        if told != error {
            if let Some(error) = &error {
                say::line(&format!("Not yet: {error} (it is tried again)"));
            }
            told = error;
        }
        if observation.changed().await.is_err() {
            return Err(UpError::NotRestored("its node is gone".into()));
        }
    }
    if let Some(reached) = reached(&observation.borrow()) {
        say::line(&format!("The last transaction ended at {reached}"));
    }
    let found = Found::look(data, &place.folder, store).await;
    attached.end().await;
    found
}

/// Why the node will not restore.
pub(super) fn refusal(observed: &Observation) -> Option<String> {
    let restore = status_of(observed)?.restore.as_ref()?;
    (restore.phase == RestorePhase::Refused).then(|| restore.refusal.clone().unwrap_or_default())
}

fn reached(observed: &Observation) -> Option<time::OffsetDateTime> {
    status_of(observed)?.restore.as_ref()?.reached
}

/// The new archive first: a folder without one would be archived into that of its own past.
fn put_in_place(data: &DataFolder, archives: &Archives, clock: &Clock) -> Result<(), UpError> {
    archive::chain_make(data, archives, clock)?;
    let (from, to) = (data.control_restoring(), data.control());
    std::fs::rename(from.root(), to.root())
        .map_err(|source| UpError::folder(data.root(), to.root(), source))?;
    sync_parents(from.root(), to.root()).map_err(|error| UpError::explain(data.root(), &error))
}

/// Removes what a restore left that was killed.
pub(super) async fn sweep(data: &DataFolder) {
    end(data, SUFFIX).await;
    let left = data.control_restoring();
    if left.root().exists() {
        folder_destroy(left.root().to_owned()).await;
    }
}

/// Ends the processes that are called so.
pub(super) async fn end(data: &DataFolder, suffix: &str) {
    let processes = Processes::new(data.clone());
    for kind in ["node", "engine"] {
        let name = format!("{kind}.{suffix}");
        if let Some((mut process, _)) = processes.find(&name) {
            process.stop(GRACE).await;
        }
        processes.forget(&name);
    }
}
