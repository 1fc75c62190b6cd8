//! The moments of its past that a database can be restored to.

use super::reach::Reach;
use crate::app::{AppError, Caller, Platform, ProblemType, database};
use crate::store::archive::{self, ArchiveRow};
use crate::store::{EitherTx, TenantTx};
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// The moments that a database can be restored to, and how far its archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreWindow {
    /// Null until the first backup is complete.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub earliest: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub latest: Option<OffsetDateTime>,
    /// WAL positions that can be restored to.
    #[schema(required = true)]
    pub earliest_lsn: Option<String>,
    #[schema(required = true)]
    pub latest_lsn: Option<String>,
    /// Moments between the two that cannot be restored to, oldest first.
    pub gaps: Vec<RestoreGap>,
    /// How far back the plan reaches, days.
    pub window_days: u32,
    /// How old what is not archived yet may be at most by the plan, milliseconds.
    pub lag_ms_max: u32,
    /// How old what is not archived yet was when last looked at, milliseconds; null: not known.
    #[schema(required = true)]
    pub lag_ms: Option<u64>,
    /// WAL that was not archived yet when last looked at, bytes; null: not known.
    #[schema(required = true)]
    pub lag_bytes: Option<u64>,
    /// Whether something keeps the archive from going on; the platform works on it.
    pub is_stuck: bool,
}

/// Moments that cannot be restored to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoreGap {
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// The archive that a database writes.
pub(in crate::app) async fn archive_of(
    tx: &mut TenantTx,
    database: DatabaseId,
) -> Result<ArchiveRow, AppError> {
    let organization = tx.organization();
    archive::of_database(&mut EitherTx::Tenant(tx), organization, database)
        .await?
        .ok_or_else(|| {
            AppError::rejected(ProblemType::Conflict, "This database is not archived yet.")
        })
}

pub async fn restore_window_get(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
) -> Result<RestoreWindow, AppError> {
    let (mut tx, row) = database::reading_past(platform, caller, id).await?;
    let archive = archive_of(&mut tx, id).await?;
    tx.commit().await?;
    let now = platform.clock.now();
    let reach = Reach::of(&archive, row.at_rest_until(now), now);
    let lag_bytes = reach.lag_bytes();
    let behind = archive
        .observed_at
        .zip(archive.archived_until)
        .map(|(observed, until)| (observed - until).whole_milliseconds());
    let lag_ms = match lag_bytes {
        Some(0) => Some(0),
        _ => behind.map(|behind| u64::try_from(behind).unwrap_or_default()),
    };
    let unsigned = |number: i32| u32::try_from(number).unwrap_or_default();
    let is_empty = reach.stretches.is_empty();
    let lsn = |lsn: Option<Lsn>| lsn.filter(|_| !is_empty).map(|lsn| lsn.to_string());
    Ok(RestoreWindow {
        earliest: reach.earliest(),
        latest: reach.latest(),
        earliest_lsn: lsn(reach.first_lsn),
        latest_lsn: lsn(reach.archived_lsn),
        gaps: reach.gaps(),
        window_days: unsigned(archive.restore_window_days),
        lag_ms_max: unsigned(archive.archive_lag_ms),
        lag_ms,
        lag_bytes,
        is_stuck: row.deleted_at.is_none() && archive.error.is_some(),
    })
}
