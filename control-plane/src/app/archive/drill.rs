//! Drills: what they found of a database's backups.

use crate::app::database;
use crate::app::state::DrillState;
use crate::app::{AppError, Caller, Platform};
use crate::store::drill::{self, DrillRow};
use lumadb_contract::id::{DatabaseId, DrillId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A restore into a scratch place that shows whether the backups are good, and how long it takes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Drill {
    pub id: DrillId,
    pub database_id: DatabaseId,
    pub state: DrillState,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub ended_at: Option<OffsetDateTime>,
    /// How much time of changes a lost machine had lost at the start (RPO), milliseconds.
    pub rpo_ms: u64,
    /// From the start until the restored database took connections (RTO), milliseconds; null: it
    /// did not.
    #[schema(required = true)]
    pub rto_ms: Option<u64>,
    /// The last transaction that was restored ended at this moment.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub reached: Option<OffsetDateTime>,
    /// Size of the backups that were fetched.
    pub restored_bytes: u64,
    /// Checked with `amcheck`.
    pub tables_checked: u64,
    pub indexes_checked: u64,
    /// What is wrong.
    #[schema(required = true)]
    pub fault: Option<String>,
}

impl From<DrillRow> for Drill {
    fn from(row: DrillRow) -> Self {
        let unsigned = |count: i64| u64::try_from(count).unwrap_or_default();
        let rto = row
            .ready_at
            .map(|at| (at - row.started_at).whole_milliseconds());
        Self {
            id: row.id,
            database_id: row.database_id,
            state: row.state,
            started_at: row.started_at,
            ended_at: row.ended_at,
            rpo_ms: unsigned(row.rpo_ms),
            rto_ms: rto.map(|rto| u64::try_from(rto).unwrap_or_default()),
            reached: row.reached,
            restored_bytes: unsigned(row.restored_bytes),
            tables_checked: unsigned(row.tables_checked),
            indexes_checked: unsigned(row.indexes_checked),
            fault: row.fault,
        }
    }
}

/// Drills of a database, newest first, from below `before` on.
pub async fn drill_list(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
    before: Option<DrillId>,
    limit: i64,
) -> Result<Vec<Drill>, AppError> {
    let (mut tx, _) = database::reading_past(platform, caller, database).await?;
    let rows = drill::list(&mut tx, database, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Drill::from).collect())
}

/// How many databases' last drills ended how.
pub async fn drill_counts(platform: &Platform) -> Result<Vec<(DrillState, i64)>, AppError> {
    let mut tx = platform.store.region().await?;
    let counts = drill::counts(&mut tx).await?;
    tx.commit().await?;
    Ok(counts)
}
