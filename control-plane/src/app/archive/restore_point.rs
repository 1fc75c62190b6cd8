//! Restore points: moments with a name, to come back to.

use super::backup::have_it_run;
use super::window::archive_of;
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database::{self, quota};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::StoreError;
use crate::store::restore_point::{self, RestorePointRow};
use lumadb_contract::id::{DatabaseId, RestorePointId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Longest name of a restore point, bytes: PostgreSQL's own limit.
pub(super) const NAME_BYTES_MAX: usize = 63;

/// Restore points of one database; those outside of its window are forgotten.
const RESTORE_POINTS_MAX: i64 = 1000;

/// A moment of a database that has a name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RestorePoint {
    pub id: RestorePointId,
    /// Unique in its database.
    pub name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The moment itself; null until the database has made it.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required = true)]
    pub made_at: Option<OffsetDateTime>,
    /// Its WAL position.
    #[schema(required = true)]
    pub lsn: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestorePointCreate {
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
}

impl From<RestorePointRow> for RestorePoint {
    fn from(row: RestorePointRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            made_at: row.made_at,
            lsn: row.lsn,
        }
    }
}

/// A name that PostgreSQL takes for a restore point.
pub(super) fn check_name(fields: &mut FieldErrors, field: &str, text: &str) -> String {
    let name = text.trim();
    fields.check(
        field,
        (1..=NAME_BYTES_MAX).contains(&name.len()),
        format!("has 1 to {NAME_BYTES_MAX} bytes, this has {}", name.len()),
    );
    fields.check(
        field,
        !name.chars().any(char::is_control),
        "must not hold control characters",
    );
    name.to_owned()
}

/// Names the present moment. A database that sleeps wakes up for it.
pub async fn restore_point_create(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    request: Option<&IdempotentRequest>,
    input: RestorePointCreate,
) -> Result<RestorePoint, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseWrite).await?;
    let mut fields = FieldErrors::new();
    let name = check_name(&mut fields, "name", &input.name);
    fields.finish()?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    have_it_run(platform, &mut change, id, "given a restore point").await?;
    let archive = archive_of(&mut change, id).await?;
    if restore_point::count(&mut change, archive.id).await? >= RESTORE_POINTS_MAX {
        return Err(quota(format!(
            "A database has at most {RESTORE_POINTS_MAX} restore points."
        )));
    }
    let point = RestorePointId::from_uuid(platform.clock.new_uuid());
    let now = platform.clock.now();
    restore_point::insert(&mut change, point, archive.id, id, &name, now)
        .await
        .map_err(|error| name_taken(error, &name))?;
    let details = json!({ "database": id, "name": name });
    change
        .audit(AuditAction::RestorePointCreate, point, details)
        .await?;
    change
        .commit(RestorePoint {
            id: point,
            name,
            created_at: now,
            made_at: None,
            lsn: None,
        })
        .await
}

fn name_taken(error: StoreError, name: &str) -> AppError {
    if error.constraint() == Some(restore_point::NAME_UNIQUE) {
        return AppError::rejected(
            ProblemType::Conflict,
            format!("The database has a restore point called \u{201c}{name}\u{201d} already."),
        );
    }
    error.into()
}

/// Restore points of a database, newest first, from below `before` on.
pub async fn restore_point_list(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
    before: Option<RestorePointId>,
    limit: i64,
) -> Result<Vec<RestorePoint>, AppError> {
    let (mut tx, _) = database::reading_past(platform, caller, database).await?;
    let rows = restore_point::list(&mut tx, database, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(RestorePoint::from).collect())
}
