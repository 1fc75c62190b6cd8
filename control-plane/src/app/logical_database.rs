//! Logical databases: databases inside a database.

use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest};
use crate::app::database::{self, quota};
use crate::app::operation::Operation;
use crate::app::role::{apply, begin, checked_name};
use crate::app::state::OperationKind;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::logical_database::{self, LogicalDatabaseRow};
use crate::store::role;
use lumadb_contract::id::{DatabaseId, LogicalDatabaseId};
use lumadb_contract::name::PgName;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Most logical databases that the API keeps of one database.
pub const LOGICAL_DATABASES_MAX: usize = 100;

/// A database inside a database.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogicalDatabase {
    pub id: LogicalDatabaseId,
    pub name: PgName,
    /// Name of the role that owns it.
    pub owner_role: PgName,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogicalDatabaseCreate {
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
    /// Name of the role that shall own it; the database's owner if left out.
    #[schema(max_length = 63)]
    pub owner_role: Option<String>,
}

/// A logical database and what is being done to it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogicalDatabaseChanged {
    pub logical_database: LogicalDatabase,
    pub operation: Operation,
}

impl From<LogicalDatabaseRow> for LogicalDatabase {
    fn from(row: LogicalDatabaseRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            owner_role: row.owner_role,
            created_at: row.created_at,
        }
    }
}

/// All logical databases of a database, the oldest first. There are at most
/// [`LOGICAL_DATABASES_MAX`].
pub async fn logical_database_list(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
) -> Result<Vec<LogicalDatabase>, AppError> {
    let (mut tx, _) = database::reading(platform, caller, database).await?;
    let rows = logical_database::list(&mut tx, database).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(LogicalDatabase::from).collect())
}

pub async fn logical_database_create(
    platform: &Platform,
    caller: &Caller,
    database: DatabaseId,
    request: Option<&IdempotentRequest>,
    input: LogicalDatabaseCreate,
) -> Result<LogicalDatabaseChanged, AppError> {
    let member = authorize(platform, caller, database, Action::RoleWrite).await?;
    let name = checked_name(&input.name)?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    database::find_for_change(&mut change, database).await?;
    let known = logical_database::list(&mut change, database).await?;
    if known.len() >= LOGICAL_DATABASES_MAX {
        return Err(quota(format!(
            "A database has at most {LOGICAL_DATABASES_MAX} logical databases."
        )));
    }
    if known.iter().any(|known| known.name == name) {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            format!("The database has a logical database called \u{201c}{name}\u{201d} already."),
        ));
    }
    let owner = role::list(&mut change, database)
        .await?
        .into_iter()
        .find(|role| match &input.owner_role {
            Some(name) => role.name.as_str() == name,
            None => role.is_owner,
        })
        .ok_or_else(|| AppError::field("owner_role", "the database has no such role"))?;
    let now = platform.clock.now();
    let id = LogicalDatabaseId::from_uuid(platform.clock.new_uuid());
    logical_database::insert(&mut change, database, id, &name, owner.id, now).await?;
    let kind = OperationKind::LogicalDatabaseCreate;
    let operation = apply(platform, &mut change, caller, database, kind).await?;
    let details = json!({ "database": database, "name": name });
    change
        .audit(AuditAction::LogicalDatabaseCreate, id, details)
        .await?;
    let logical_database = LogicalDatabase {
        id,
        name,
        owner_role: owner.name,
        created_at: now,
    };
    change
        .commit(LogicalDatabaseChanged {
            logical_database,
            operation,
        })
        .await
}

/// Removes a logical database and everything in it.
pub async fn logical_database_delete(
    platform: &Platform,
    caller: &Caller,
    (database, id): (DatabaseId, LogicalDatabaseId),
) -> Result<LogicalDatabaseChanged, AppError> {
    let member = authorize(platform, caller, database, Action::RoleWrite).await?;
    let mut change = begin(platform, caller, member).await?;
    let row = database::find_for_change(&mut change, database).await?;
    if row.deletion_protection {
        return Err(AppError::rejected(
            ProblemType::DeletionProtected,
            "Switch the database's deletion protection off first.",
        ));
    }
    let row = logical_database::list(&mut change, database)
        .await?
        .into_iter()
        .find(|known| known.id == id)
        .ok_or_else(|| AppError::not_found("logical database", id))?;
    logical_database::delete(&mut change, id).await?;
    let kind = OperationKind::LogicalDatabaseDelete;
    let operation = apply(platform, &mut change, caller, database, kind).await?;
    let details = json!({ "database": database, "name": row.name });
    change
        .audit(AuditAction::LogicalDatabaseDelete, id, details)
        .await?;
    change
        .commit(LogicalDatabaseChanged {
            logical_database: row.into(),
            operation,
        })
        .await
}
