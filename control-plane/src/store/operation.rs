//! Operations: changes that were asked for, and how far they are.

use super::{StoreError, TenantTx};
use crate::app::state::{OperationKind, OperationState, Step, Undo};
use lumadb_contract::id::{DatabaseId, OperationId, UserId};
use sqlx::types::Json;
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct OperationRow {
    pub id: OperationId,
    pub database_id: DatabaseId,
    pub kind: OperationKind,
    pub state: OperationState,
    pub generation: i64,
    pub steps: Json<Vec<Step>>,
    pub error: Option<String>,
    pub undo: Option<Json<Undo>>,
    pub created_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
}

#[derive(Debug)]
pub struct NewOperation {
    pub id: OperationId,
    pub database: DatabaseId,
    pub kind: OperationKind,
    pub generation: i64,
    pub steps: Vec<Step>,
    pub undo: Option<Undo>,
    pub created_by: UserId,
    pub created_at: OffsetDateTime,
    pub deadline_at: OffsetDateTime,
}

pub async fn insert(tx: &mut TenantTx, new: &NewOperation) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into operations (id, organization_id, database_id, kind, generation, steps, undo,
             created_by, created_at, deadline_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        new.id.uuid(),
        organization.uuid(),
        new.database.uuid(),
        new.kind.as_str(),
        new.generation,
        Json(&new.steps) as _,
        new.undo.as_ref().map(Json) as _,
        new.created_by.uuid(),
        new.created_at,
        new.deadline_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn find(tx: &mut TenantTx, id: OperationId) -> Result<Option<OperationRow>, StoreError> {
    Ok(select(tx, Some(id), None, None, false, 1).await?.pop())
}

/// Those of one database, newest first, from below `before` on.
pub async fn list(
    tx: &mut TenantTx,
    database: DatabaseId,
    before: Option<OperationId>,
    limit: i64,
) -> Result<Vec<OperationRow>, StoreError> {
    select(tx, None, Some(database), before, false, limit).await
}

/// Those of one database that have not ended.
pub async fn list_open(
    tx: &mut TenantTx,
    database: DatabaseId,
) -> Result<Vec<OperationRow>, StoreError> {
    select(tx, None, Some(database), None, true, 1000).await
}

async fn select(
    tx: &mut TenantTx,
    id: Option<OperationId>,
    database: Option<DatabaseId>,
    before: Option<OperationId>,
    open: bool,
    limit: i64,
) -> Result<Vec<OperationRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        OperationRow,
        r#"select id as "id: OperationId", database_id as "database_id: DatabaseId",
                  kind as "kind: OperationKind", state as "state: OperationState", generation,
                  steps as "steps: Json<Vec<Step>>", error, undo as "undo: Json<Undo>",
                  created_at, started_at, ended_at
           from operations
           where organization_id = $1 and ($2::uuid is null or id = $2)
             and ($3::uuid is null or database_id = $3) and ($4::uuid is null or id < $4)
             and (not $5 or ended_at is null)
           order by id desc limit $6"#,
        organization.uuid(),
        id.map(OperationId::uuid),
        database.map(DatabaseId::uuid),
        before.map(OperationId::uuid),
        open,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Ends operations that have not ended yet, for another change takes their place.
pub async fn cancel(
    tx: &mut TenantTx,
    ids: &[OperationId],
    why: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "update operations set state = 'cancelled', error = $2, ended_at = $3
         where id = any($1) and ended_at is null",
        &ids,
        why,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
