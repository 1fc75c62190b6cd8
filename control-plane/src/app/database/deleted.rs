//! Databases that were deleted and can still be restored.

use crate::app::archive::reach::Reach;
use crate::app::archive::window::archive_of;
use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::archive::ArchiveRow;
use crate::store::database::{self, DatabaseRow};
use lumadb_contract::id::{DatabaseId, ProjectId};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

/// A database that was deleted: its archive and its roles are kept for the plan's window.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeletedDatabase {
    pub id: DatabaseId,
    pub project_id: ProjectId,
    pub name: String,
    pub region: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub deleted_at: OffsetDateTime,
    /// From then on everything of it is removed.
    #[serde(with = "time::serde::rfc3339")]
    pub restorable_until: OffsetDateTime,
    /// The moments that it can be restored to; null: no backup of it was ever complete.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub earliest: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub latest: Option<OffsetDateTime>,
}

impl DeletedDatabase {
    fn of(row: DatabaseRow, archive: &ArchiveRow, now: OffsetDateTime) -> Option<Self> {
        let deleted_at = row.deleted_at?;
        let window = Duration::days(i64::from(archive.restore_window_days));
        let reach = Reach::of(archive, row.at_rest_until(now), now);
        Some(Self {
            id: row.id,
            project_id: row.project_id,
            name: row.name,
            region: row.region,
            created_at: row.created_at,
            deleted_at,
            restorable_until: deleted_at + window,
            earliest: reach.earliest(),
            latest: reach.latest(),
        })
    }
}

/// Deleted databases of a project by age, from behind `after` on.
pub async fn deleted_database_list(
    platform: &Platform,
    caller: &Caller,
    project: ProjectId,
    after: Option<DatabaseId>,
    limit: i64,
) -> Result<Vec<DeletedDatabase>, AppError> {
    let member = authorize(platform, caller, project, Action::DatabaseRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let now = platform.clock.now();
    let mut deleted = Vec::new();
    for row in database::list_deleted(&mut tx, project, after, limit).await? {
        let archive = archive_of(&mut tx, row.id).await?;
        deleted.extend(DeletedDatabase::of(row, &archive, now));
    }
    tx.commit().await?;
    Ok(deleted)
}
