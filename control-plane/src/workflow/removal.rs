//! Removes the archives of databases that were deleted longer ago than their plan's window.
//!
//! Three steps, each of which may be done twice, and after each of which the process may be killed:
//! the archive is marked, from when on nothing is restored from it; its objects go, the seals last;
//! its rows go, and with them the roles that were kept for a restore. A mark is never taken back: what
//! is left half-way is taken up by the next round.

use crate::app::Platform;
use crate::app::archive::{ArchiveKeyError, Archives, Rights};
use crate::app::audit::AuditAction;
use crate::runtime::{ArchiveObjects, ObjectsError};
use crate::store::audit::{self, NewAuditEvent};
use crate::store::removal::{self, DueArchive};
use crate::store::{EitherTx, StoreError, archive};
use lumadb_contract::id::AuditEventId;
use std::pin::pin;
use std::time::Duration;

/// Archives that are removed in one round, one after the other.
const ROUND_MAX: i64 = 20;

/// Between two rounds.
const INTERVAL: Duration = Duration::from_secs(15);

/// Longest time for the objects of one archive; the next round goes on.
const OBJECTS_LIMIT: Duration = Duration::from_mins(30);

#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] ArchiveKeyError),
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    #[error("its objects were not gone after {} s", OBJECTS_LIMIT.as_secs())]
    Limit,
}

/// Removes what is due, round after round, until `shutdown` is done.
pub async fn run<O: ArchiveObjects>(
    platform: Platform,
    objects: O,
    region: String,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            removed = remove_due(&platform, &objects, &region) => match removed {
                Ok(0) => {}
                Ok(archives) => tracing::info!(archives, "archives of deleted databases are removed"),
                Err(error) => tracing::warn!(%error, "no archive was removed"),
            },
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// One round; answers how many archives are gone. One that fails does not keep the others.
pub async fn remove_due<O: ArchiveObjects>(
    platform: &Platform,
    objects: &O,
    region: &str,
) -> Result<usize, StoreError> {
    let Some(archives) = &platform.archives else {
        return Ok(0);
    };
    let mut tx = platform.store.region().await?;
    let now = platform.clock.now();
    let due = removal::due(&mut tx, region, now, ROUND_MAX).await?;
    tx.commit().await?;
    let mut removed = 0;
    for archive in due {
        match remove(platform, archives, objects, &archive).await {
            Ok(Some(objects)) => {
                removed += 1;
                tracing::info!(archive = %archive.id, database = %archive.database_id, objects, "removed");
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(archive = %archive.id, %error, "an archive was not removed");
            }
        }
    }
    Ok(removed)
}

/// `None`: something is being restored from it, or it is gone already.
async fn remove<O: ArchiveObjects>(
    platform: &Platform,
    archives: &Archives,
    objects: &O,
    due: &DueArchive,
) -> Result<Option<u64>, RemovalError> {
    let mut tx = platform.store.region().await?;
    if !removal::mark(&mut tx, due, platform.clock.now()).await? {
        return Ok(None);
    }
    let either = &mut EitherTx::Region(&mut tx);
    let found = archive::find(either, due.organization_id, due.id).await?;
    tx.commit().await?;
    let Some(row) = found else {
        // Another worker was faster.
        return Ok(None);
    };
    let access = archives.access(&row, Rights::Write)?;
    let removing = objects.remove(&access);
    let gone = tokio::time::timeout(OBJECTS_LIMIT, removing).await;
    let gone = gone.map_err(|_| RemovalError::Limit)??;
    let mut tx = platform.store.region().await?;
    if removal::forget(&mut tx, due).await? {
        let event = NewAuditEvent {
            id: AuditEventId::from_uuid(platform.clock.new_uuid()),
            actor: "system".to_owned(),
            action: AuditAction::ArchiveRemove,
            resource: due.database_id.to_string(),
            details: serde_json::json!({ "archive": due.id, "objects": gone }),
            client_address: None,
            created_at: platform.clock.now(),
        };
        audit::insert_as_region(&mut tx, due.organization_id, &event).await?;
    }
    tx.commit().await?;
    Ok(Some(gone))
}
