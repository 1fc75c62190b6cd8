//! Restores in place: two databases of one organization that change instances.

mod exchange;
mod open;
mod roles;

pub use exchange::exchange;
pub use open::{OpenInPlace, Side, abandon, lock, open, stop};
pub use roles::{role_put, roles, roles_prune};

use super::{StoreError, TenantTx};
use crate::app::state::InPlacePhase;
use lumadb_contract::id::{DatabaseId, OperationId};
use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// A row, read as PostgreSQL's `to_jsonb` gives it: it hangs on the rows of both databases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InPlaceRow {
    operation_id: Uuid,
    database_id: Uuid,
    kept_database_id: Uuid,
    pub phase: InPlacePhase,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

impl InPlaceRow {
    pub const fn operation(&self) -> OperationId {
        OperationId::from_uuid(self.operation_id)
    }

    pub const fn database(&self) -> DatabaseId {
        DatabaseId::from_uuid(self.database_id)
    }

    pub const fn kept(&self) -> DatabaseId {
        DatabaseId::from_uuid(self.kept_database_id)
    }
}

#[derive(Debug)]
pub struct NewInPlace {
    pub operation: OperationId,
    pub database: DatabaseId,
    pub kept: DatabaseId,
    /// The kept one was made for this.
    pub is_made: bool,
    pub now: OffsetDateTime,
}

pub async fn insert(tx: &mut TenantTx, new: &NewInPlace) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into in_place_restores (operation_id, organization_id, database_id,
             kept_database_id, is_made, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        new.operation.uuid(),
        organization.uuid(),
        new.database.uuid(),
        new.kept.uuid(),
        new.is_made,
        new.now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The one under way that a database takes part in.
pub async fn open_of(
    tx: &mut TenantTx,
    database: DatabaseId,
) -> Result<Option<InPlaceRow>, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select to_jsonb(p) as "row!: Json<InPlaceRow>" from in_place_restores p
           where organization_id = $1 and ended_at is null
             and (database_id = $2 or kept_database_id = $2)"#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| row.row.0))
}

/// Whether a database once kept what another had before it was restored in place.
pub async fn was_kept(
    tx: &mut TenantTx,
    database: DatabaseId,
    kept: DatabaseId,
) -> Result<bool, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select exists(select from in_place_restores
                         where organization_id = $1 and database_id = $2
                           and kept_database_id = $3 and phase = 'done') as "found!""#,
        organization.uuid(),
        database.uuid(),
        kept.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

/// Names of a project's databases that begin so.
pub async fn names_like(
    tx: &mut TenantTx,
    of: DatabaseId,
    beginning: &str,
) -> Result<Vec<String>, StoreError> {
    let organization = tx.organization();
    let names = sqlx::query_scalar!(
        "select name from databases
         where organization_id = $1 and deleted_at is null and starts_with(name, $3)
           and project_id = (select project_id from databases where id = $2)",
        organization.uuid(),
        of.uuid(),
        beginning
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(names)
}

/// Ends one that has not begun to stop anybody, for its owner cancelled it: what was made for it
/// goes. False: it has begun.
pub async fn cancel(
    tx: &mut TenantTx,
    operation: OperationId,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let ended = sqlx::query!(
        r#"update in_place_restores set phase = 'abandoned', ended_at = $2
           where operation_id = $1 and phase = 'preparing'
           returning kept_database_id as "kept: DatabaseId", is_made"#,
        operation.uuid(),
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(ended) = ended else {
        return Ok(false);
    };
    if ended.is_made {
        remove_made(tx.connection(), ended.kept, now).await?;
    }
    Ok(true)
}

/// Has the one that was made for this go.
async fn remove_made(
    connection: &mut PgConnection,
    kept: DatabaseId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set desired = 'deleted', generation = generation + 1, run_generation = generation + 1,
             look_at = $2, attempt = 0
         where id = $1 and deleted_at is null",
        kept.uuid(),
        now
    )
    .execute(connection)
    .await?;
    Ok(())
}
