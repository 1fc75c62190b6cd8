//! Backups: made by schedule, and whenever somebody asks.

use super::in_place;
use super::window::archive_of;
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database::{self, quota};
use crate::app::state::{BackupKind, BackupOrigin, BackupState, Desired};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::backup::{self, BackupRow, NewBackup};
use crate::store::database as store_database;
use lumadb_contract::id::{BackupId, DatabaseId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Longest name of a backup, characters.
const NAME_CHARACTERS_MAX: usize = 100;

/// Backups of one database that wait or are being made.
const OPEN_MAX: i64 = 3;

/// A backup of a whole database, from which the moments since can be restored.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    pub id: BackupId,
    pub database_id: DatabaseId,
    /// As whoever asked for it called it.
    #[schema(required = true)]
    pub name: Option<String>,
    pub origin: BackupOrigin,
    pub kind: BackupKind,
    pub state: BackupState,
    #[serde(with = "time::serde::rfc3339")]
    pub requested_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub started_at: Option<OffsetDateTime>,
    /// Once complete: the first moment that it restores.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub ended_at: Option<OffsetDateTime>,
    /// WAL positions between which it was made.
    #[schema(required = true)]
    pub start_lsn: Option<String>,
    #[schema(required = true)]
    pub end_lsn: Option<String>,
    /// Read from the database so far.
    pub bytes_read: u64,
    /// What is expected to be read in all; 0: not known.
    pub bytes_expected: u64,
    /// In the archive: compressed and encrypted.
    pub bytes_stored: u64,
    /// What an incremental one builds on.
    #[schema(required = true)]
    pub parent_id: Option<BackupId>,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupCreate {
    /// To recognize it by.
    #[schema(max_length = 100)]
    pub name: Option<String>,
}

impl From<BackupRow> for Backup {
    fn from(row: BackupRow) -> Self {
        // The schema admits no negative sizes.
        let bytes = |count: i64| u64::try_from(count).unwrap_or_default();
        Self {
            id: row.id,
            database_id: row.database_id,
            name: row.name,
            origin: row.origin,
            kind: row.kind,
            state: row.state,
            requested_at: row.requested_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            start_lsn: row.start_lsn,
            end_lsn: row.end_lsn,
            bytes_read: bytes(row.bytes_read),
            bytes_expected: bytes(row.bytes_expected),
            bytes_stored: bytes(row.bytes_stored),
            parent_id: row.parent_id,
        }
    }
}

/// Asks for a backup. A database that sleeps wakes up for it.
pub async fn backup_create(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    request: Option<&IdempotentRequest>,
    input: BackupCreate,
) -> Result<Backup, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseWrite).await?;
    let mut fields = FieldErrors::new();
    let name = input
        .name
        .map(|name| fields.display_name("name", &name, NAME_CHARACTERS_MAX));
    fields.finish()?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    have_it_run(platform, &mut change, id, "backed up").await?;
    let archive = archive_of(&mut change, id).await?;
    if backup::open_count(&mut change, id).await? >= OPEN_MAX {
        return Err(quota(format!(
            "{OPEN_MAX} backups of this database are waiting or being made; wait for one to end."
        )));
    }
    let new = NewBackup {
        id: BackupId::from_uuid(platform.clock.new_uuid()),
        organization: member.organization,
        archive: archive.id,
        database: id,
        name: name.as_deref(),
        origin: BackupOrigin::Manual,
        kind: BackupKind::Full,
        now: platform.clock.now(),
    };
    backup::insert(&mut change, &new).await?;
    let details = json!({ "database": id, "name": name });
    change
        .audit(AuditAction::BackupCreate, new.id, details)
        .await?;
    let row = found(&mut change, new.id).await?;
    change.commit(row.into()).await
}

/// Has the loop look at a database that runs; one that sleeps wakes up, one that is suspended is
/// its owner's to resume.
pub(in crate::app) async fn have_it_run(
    platform: &Platform,
    change: &mut Change,
    id: DatabaseId,
    what: &str,
) -> Result<(), AppError> {
    let row = database::find_for_change(change, id).await?;
    in_place::refuse_stopping(change, id).await?;
    let mut to = database::unchanged(&row);
    to.generation += 1;
    match row.desired {
        Desired::Asleep => {
            to.desired = Desired::Running;
            to.run_generation = to.generation;
        }
        Desired::Running => {}
        Desired::Suspended | Desired::Deleted => {
            return Err(AppError::rejected(
                ProblemType::Conflict,
                format!("The database is suspended; resume it, then it can be {what}."),
            ));
        }
    }
    store_database::steer(change, id, &to, platform.clock.now()).await?;
    Ok(())
}

pub async fn backup_get(
    platform: &Platform,
    caller: &Caller,
    id: BackupId,
) -> Result<Backup, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = found(&mut tx, id).await?;
    tx.commit().await?;
    Ok(row.into())
}

/// Backups of a database, newest first, from below `before` on.
pub async fn backup_list(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
    before: Option<BackupId>,
    limit: i64,
) -> Result<Vec<Backup>, AppError> {
    let (mut tx, _) = database::reading_past(platform, caller, database).await?;
    let rows = backup::list(&mut tx, database, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Backup::from).collect())
}

async fn found(tx: &mut crate::store::TenantTx, id: BackupId) -> Result<BackupRow, AppError> {
    backup::find(tx, id)
        .await?
        .ok_or_else(|| AppError::not_found("backup", id))
}
