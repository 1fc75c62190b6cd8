//! Databases: create, list, change, suspend, resume, delete; and those that were deleted.

mod change;
pub mod connection;
mod create;
mod deleted;
mod view;
pub mod wake;

pub use change::{
    DatabaseUpdate, RunChange, database_delete, database_run_change, database_update,
};
pub(super) use change::{refuse_held, unchanged};
pub use create::{DatabaseCreate, DatabaseCreated, database_create};
pub(super) use create::{archive_make, check_room, name_taken, pg_name, quota};
pub use deleted::{DeletedDatabase, deleted_database_list};
pub use view::{Database, DatabaseChanged};

use crate::app::archive::in_place;
use crate::app::authorize::authorize;
use crate::app::change::Change;
use crate::app::state::Desired;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::TenantTx;
use crate::store::database::{self, DatabaseRow};
use lumadb_contract::id::{DatabaseId, ProjectId};

/// Longest name of a database, characters.
pub const NAME_CHARACTERS_MAX: usize = 63;

pub async fn database_get(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
) -> Result<Database, AppError> {
    let (tx, row) = reading(platform, caller, id).await?;
    tx.commit().await?;
    Ok(row.into())
}

/// Databases of a project by age, from behind `after` on.
pub async fn database_list(
    platform: &Platform,
    caller: &Caller,
    project: ProjectId,
    after: Option<DatabaseId>,
    limit: i64,
) -> Result<Vec<Database>, AppError> {
    let member = authorize(platform, caller, project, Action::DatabaseRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let rows = database::list(&mut tx, project, after, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Database::from).collect())
}

/// A transaction that reads of a database, which is there and the caller's to see.
pub(super) async fn reading(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
) -> Result<(TenantTx, DatabaseRow), AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = find(&mut tx, id, false).await?;
    Ok((tx, row))
}

/// The same of one of which something can be restored ([`find_past`]).
pub(super) async fn reading_past(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
) -> Result<(TenantTx, DatabaseRow), AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = find_past(&mut tx, id).await?;
    Ok((tx, row))
}

/// One that is there: a deleted one is not.
pub(super) async fn find(
    tx: &mut TenantTx,
    id: DatabaseId,
    lock: bool,
) -> Result<DatabaseRow, AppError> {
    database::find(tx, id, lock)
        .await?
        .ok_or_else(|| AppError::not_found("database", id))
}

/// One of which something can be restored: it is there, or was deleted and its archive is there.
pub(super) async fn find_past(tx: &mut TenantTx, id: DatabaseId) -> Result<DatabaseRow, AppError> {
    database::find_past(tx, id)
        .await?
        .ok_or_else(|| AppError::not_found("database", id))
}

/// One that is there and stays: locked until the change ends.
pub(super) async fn find_for_change(
    change: &mut Change,
    id: DatabaseId,
) -> Result<DatabaseRow, AppError> {
    let row = find(change, id, true).await?;
    in_place::refuse_kept(change, id).await?;
    if row.desired == Desired::Deleted {
        return Err(AppError::rejected(
            ProblemType::Conflict,
            "The database is being deleted.",
        ));
    }
    Ok(row)
}
