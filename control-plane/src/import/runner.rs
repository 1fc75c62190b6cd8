//! Takes imports on, one after the other, and brings each to its end.

use super::check::{self, Session};
use super::follow::aside::Standing;
use super::follow::{self, Follower, Snapshot};
use super::login::Door;
use super::network::Networks;
use super::programs::{ImportPrograms, Room};
use super::progress::Progress;
use super::relay::{Relay, SOURCE_PORT, TARGET_PORT, Target, Way};
use super::source::{SealedSource, Source};
use super::{Failure, clean, tls, transfer};
use crate::app::Platform;
use crate::app::state::ImportState;
use crate::edge_door::EdgeDoor;
use crate::identity::SealPurpose;
use crate::store::StoreError;
use crate::store::import::{self, Claim, ClaimedImport};
use crate::store::route::{self, RegionEdges};
use lumadb_contract::id::DatabaseId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Imports that one worker copies at once, and that it has on hand with those that only follow.
const COPYING_MAX: usize = 2;
const PARALLEL_MAX: usize = 32;

/// How long a claim lives without being renewed.
pub(super) const LEASE: time::Duration = time::Duration::seconds(15);

pub(super) const RENEW_INTERVAL: Duration = Duration::from_secs(1);

/// Longest time between two looks for something to do.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Times that an import is begun before it has failed.
const ATTEMPTS_MAX: i32 = 3;

/// Does the imports into the databases of one region.
#[derive(Debug, Clone)]
pub struct Importer {
    pub(super) platform: Platform,
    region: String,
    programs: ImportPrograms,
    networks: Networks,
    pub(super) worker: Uuid,
}

/// Why the work on an import was broken off or ended.
enum Broken {
    Failed(Failure),
    Cancelled,
    /// Its database is being deleted: what is in it goes without us.
    Orphaned,
    /// Another worker has it; nothing more may be written.
    Lost,
    /// This worker ends.
    Left,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Importer {
    pub fn new(
        platform: Platform,
        region: impl Into<String>,
        programs: ImportPrograms,
        networks: Networks,
    ) -> Self {
        Self {
            worker: platform.clock.new_uuid(),
            platform,
            region: region.into(),
            programs,
            networks,
        }
    }

    /// Works until `shutdown`; what is under way then begins again with the next worker.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut signals = self.platform.store.signals().subscribe();
        let mut imports = JoinSet::new();
        let places = Arc::new(Semaphore::new(COPYING_MAX));
        loop {
            while imports.len() < PARALLEL_MAX
                && let Ok(place) = Arc::clone(&places).try_acquire_owned()
            {
                match self.claim().await {
                    Ok(Some(claimed)) => {
                        let (importer, shutdown) = (self.clone(), shutdown.clone());
                        imports.spawn(async move {
                            importer.bring_to_end(&claimed, place, &shutdown).await;
                        });
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "imports were not looked for");
                        break;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = imports.join_next() => {}
                // Any change of a database may be one that an import was asked for.
                _ = tokio::time::timeout(LOOK_INTERVAL, signals.next()) => {}
            }
        }
        while imports.join_next().await.is_some() {}
    }

    async fn claim(&self) -> Result<Option<ClaimedImport>, StoreError> {
        let now = self.platform.clock.now();
        let mut tx = self.platform.store.region().await?;
        let claimed = import::claim(&mut tx, &self.region, self.worker, now, now + LEASE).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn bring_to_end(
        &self,
        claimed: &ClaimedImport,
        place: OwnedSemaphorePermit,
        shutdown: &CancellationToken,
    ) {
        let id = claimed.id;
        tracing::info!(import = %id, attempt = claimed.attempt, "an import begins");
        match self.try_to_end(claimed, place, shutdown).await {
            Ok(true) => tracing::info!(import = %id, "an import ended"),
            Ok(false) => tracing::info!(import = %id, "an import was left to another worker"),
            Err(error) => tracing::warn!(import = %id, %error, "an import was left as it is"),
        }
    }

    /// `false` if another worker will go on with it.
    async fn try_to_end(
        &self,
        claimed: &ClaimedImport,
        place: OwnedSemaphorePermit,
        shutdown: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let (room, _target) = match self.prepare(claimed).await {
            Ok(prepared) => prepared,
            Err(failure) => {
                let why = failure.to_string();
                return self.end(claimed, ImportState::Failed, Some(&why)).await;
            }
        };
        // Whether anything of it may be in the target already.
        let begun_before = matches!(
            claimed.state,
            ImportState::Copying
                | ImportState::Finishing
                | ImportState::Following
                | ImportState::Validating
                | ImportState::Cleaning
        );
        let progress = Arc::new(Progress::of(claimed));
        let outcome = if claimed.database_is_deleted {
            Err(Broken::Orphaned)
        } else if claimed.state == ImportState::Cleaning {
            // An earlier worker died while it cleaned: why is known.
            match claimed.cancel_requested_at {
                Some(_) => Err(Broken::Cancelled),
                None => Err(Broken::Failed(Failure::new(
                    claimed.error.clone().unwrap_or_default(),
                ))),
            }
        } else if claimed.attempt > ATTEMPTS_MAX {
            Err(Broken::Failed(Failure::new(
                "The platform was interrupted again and again while it worked on it.",
            )))
        } else {
            let work = self.work(claimed, &room, begun_before, &progress, place);
            tokio::select! {
                done = work => done.map_err(Broken::from),
                broken = self.watch(claimed, &progress) => Err(broken),
                () = shutdown.cancelled() => Err(Broken::Left),
            }
        };
        let is_dirty = begun_before || progress.now().state != ImportState::Checking;
        match outcome {
            Ok(note) => {
                self.renew(claimed, &progress).await?;
                self.end(claimed, ImportState::Succeeded, note.as_deref())
                    .await
            }
            Err(Broken::Orphaned) => self.end_orphaned(claimed, &room, is_dirty).await,
            Err(Broken::Lost) => Ok(false),
            Err(Broken::Left) => {
                let mut tx = self.platform.store.region().await?;
                import::release(&mut tx, claimed.id, self.worker).await?;
                tx.commit().await?;
                Ok(false)
            }
            Err(Broken::Cancelled) => {
                let state = ImportState::Cancelled;
                let why = "It was cancelled.";
                self.clean_and_end(claimed, &room, is_dirty, state, why)
                    .await
            }
            Err(Broken::Failed(failure)) => {
                let state = ImportState::Failed;
                let why = failure.to_string();
                self.clean_and_end(claimed, &room, is_dirty, state, &why)
                    .await
            }
        }
    }

    /// The import's folder, with the way to the target open.
    async fn prepare(&self, claimed: &ClaimedImport) -> Result<(Room, Relay), Failure> {
        let failed = |error: &dyn std::error::Error| {
            tracing::error!(import = %claimed.id, %error, "an import has no room to run in");
            Failure::new("The import could not be started here. Try again later.")
        };
        let room = self
            .programs
            .room(claimed.id)
            .map_err(|error| failed(&error))?;
        let edges = self.edges_of(claimed.database_id).await;
        let edges = edges.map_err(|error| failed(&error))?;
        let door = EdgeDoor::of(&self.platform.settings, edges).map_err(|why| {
            tracing::error!(import = %claimed.id, why, "the region's edges are not known");
            Failure::new("The import could not be started here. Try again later.")
        })?;
        let Some(door) = door else {
            return Err(Failure::new("Imports are not set up on this server."));
        };
        let target = Target {
            door,
            signer: self.platform.service_signer.clone(),
            clock: self.platform.clock.clone(),
            database: claimed.database_id,
            role: claimed.role.clone(),
            logical_database: claimed.logical_database.clone(),
        };
        let relay = Relay::listen(room.folder(), TARGET_PORT, Way::Target(target), room.user)
            .map_err(|error| failed(&error))?;
        Ok((room, relay))
    }

    async fn edges_of(&self, database: DatabaseId) -> Result<RegionEdges, StoreError> {
        let mut tx = self.platform.store.region().await?;
        let edges = route::edges(&mut tx, database).await?;
        tx.commit().await?;
        Ok(edges)
    }

    /// All of it, from the first look to the last statistics. Gives what did not arrive as it was.
    async fn work(
        &self,
        claimed: &ClaimedImport,
        room: &Room,
        begun_before: bool,
        progress: &Arc<Progress>,
        place: OwnedSemaphorePermit,
    ) -> Result<Option<String>, Failure> {
        let (door, _source) = self.source(claimed, room).await?;
        let follower = claimed.continuous.then_some(Follower {
            id: claimed.id,
            room,
            door: &door,
            progress,
        });
        if let Some(follower) = follower.filter(|_| begun_before) {
            match (follow::standing(room.folder()).await?, claimed.state) {
                (Standing::Following(_) | Standing::SwitchedOver, _) => {
                    drop(place);
                    return self.follow(claimed, follower).await;
                }
                // It was killed after the last of it.
                (Standing::None, ImportState::Validating) => return Ok(None),
                (Standing::None, ImportState::Following) => {
                    return Err(Failure::new(follow::FORGOTTEN));
                }
                (Standing::None, _) => {}
            }
        }
        if begun_before {
            clean::empty(room.folder()).await?;
        }
        {
            let target = Session::target(room.folder()).await?;
            check::target_is_empty(&target).await?;
            let source = Session::source(room.folder()).await?;
            let amount = check::source_fits(&source, &target).await?;
            progress.source(amount.tables, amount.bytes);
        }
        if let Some(follower) = follower {
            follower.check().await?;
        }
        // Written down before the first byte: only then does another worker know to clean.
        progress.copying();
        let held = self.renew(claimed, progress).await.map_err(|error| {
            tracing::warn!(import = %claimed.id, %error, "an import could not go on");
            Failure::new("The platform was interrupted. Ask for the import anew.")
        })?;
        if held != Claim::Held {
            // Whoever watches the claim sees the same.
            return std::future::pending().await;
        }
        let snapshot = match follower {
            Some(follower) => Some(follower.begin().await?),
            None => None,
        };
        transfer::copy(room, snapshot.as_ref().map(Snapshot::name), progress).await?;
        progress.finishing();
        let target = Session::target(room.folder()).await?;
        if let Err(error) = target.rows("analyze").await {
            // The engine makes its statistics by itself, a little later.
            tracing::warn!(import = %claimed.id, %error, "an import was not analyzed");
        }
        if let (Some(follower), Some(snapshot)) = (follower, snapshot) {
            follower.copied(snapshot).await?;
            drop(place);
            return self.follow(claimed, follower).await;
        }
        Ok(None)
    }

    /// Follows, switches over when that is asked for, and does what is left to do.
    async fn follow(
        &self,
        claimed: &ClaimedImport,
        follower: Follower<'_>,
    ) -> Result<Option<String>, Failure> {
        follower.follow().await?;
        follower.progress.validating();
        // Written down first: once all is settled nothing else tells that it had switched over.
        while let Err(error) = self.renew(claimed, follower.progress).await {
            tracing::warn!(import = %claimed.id, %error, "a switch-over could not be told of yet");
            tokio::time::sleep(RENEW_INTERVAL).await;
        }
        Ok(follower.settle().await)
    }

    /// The way to the source, open in the import's folder for as long as the relay lives.
    pub(super) async fn source(
        &self,
        claimed: &ClaimedImport,
        room: &Room,
    ) -> Result<(Door, Relay), Failure> {
        let door = self.door(claimed).await?;
        let way = Way::Source(door.clone());
        let relay = Relay::listen(room.folder(), SOURCE_PORT, way, room.user)
            .map_err(|error| Failure::new(format!("A socket could not be made: {error}.")))?;
        Ok((door, relay))
    }

    async fn door(&self, claimed: &ClaimedImport) -> Result<Door, Failure> {
        let unreadable = |error: &dyn std::error::Error| {
            tracing::error!(import = %claimed.id, %error, "an import's source does not open");
            Failure::new("The connection string could not be read again. Ask for the import anew.")
        };
        let place = claimed.id.uuid();
        let plain = self
            .platform
            .seal_key
            .open_bytes(
                SealPurpose::ImportSource,
                place.as_bytes(),
                &claimed.source_sealed,
            )
            .map_err(|error| unreadable(&error))?;
        let sealed: SealedSource =
            serde_json::from_slice(&plain).map_err(|error| unreadable(&error))?;
        let source = sealed
            .source
            .expose()
            .parse::<Source>()
            .map_err(|error| unreadable(&error))?;
        let tls =
            tls::config(source.tls, sealed.ca_certificate_pem.as_deref()).map_err(Failure::new)?;
        let addresses = self.networks.resolve(&source.host, source.port).await?;
        Ok(Door {
            source,
            addresses,
            tls,
        })
    }

    /// Tells of the progress and keeps the claim until there is a reason to break off.
    async fn watch(&self, claimed: &ClaimedImport, progress: &Progress) -> Broken {
        let mut failures = 0;
        loop {
            match self.renew(claimed, progress).await {
                Ok(Claim::Held) => failures = 0,
                Ok(Claim::Completing) => {
                    failures = 0;
                    progress.complete();
                }
                Ok(Claim::Orphaned) => return Broken::Orphaned,
                Ok(Claim::Cancelled) => return Broken::Cancelled,
                Ok(Claim::Lost) => return Broken::Lost,
                Err(error) => {
                    tracing::warn!(import = %claimed.id, %error, "a claim was not renewed");
                    failures += 1;
                    // Before the claim could be another's.
                    if failures > 5 {
                        return Broken::Lost;
                    }
                }
            }
            tokio::time::sleep(RENEW_INTERVAL).await;
        }
    }

    pub(super) async fn renew(
        &self,
        claimed: &ClaimedImport,
        progress: &Progress,
    ) -> Result<Claim, StoreError> {
        let until = self.platform.clock.now() + LEASE;
        let mut tx = self.platform.store.region().await?;
        let claim =
            import::progress(&mut tx, claimed.id, self.worker, &progress.now(), until).await?;
        tx.commit().await?;
        Ok(claim)
    }
}
