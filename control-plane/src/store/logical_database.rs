//! Logical databases: databases inside a database.

use super::{StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, LogicalDatabaseId, RoleId};
use lumadb_contract::name::PgName;
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct LogicalDatabaseRow {
    pub id: LogicalDatabaseId,
    pub name: PgName,
    pub owner_role: PgName,
    pub created_at: OffsetDateTime,
}

/// Name of the constraint by which two logical databases of a database cannot share a name.
pub const NAME_UNIQUE: &str = "logical_databases_database_id_name_key";

pub async fn insert(
    tx: &mut TenantTx,
    database: DatabaseId,
    id: LogicalDatabaseId,
    name: &PgName,
    owner: RoleId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into logical_databases (id, organization_id, database_id, name, owner_role_id,
             created_at)
         values ($1, $2, $3, $4, $5, $6)",
        id.uuid(),
        organization.uuid(),
        database.uuid(),
        name.as_str(),
        owner.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The oldest first.
pub async fn list(
    tx: &mut TenantTx,
    database: DatabaseId,
) -> Result<Vec<LogicalDatabaseRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        LogicalDatabaseRow,
        r#"select l.id as "id: LogicalDatabaseId", l.name as "name: PgName",
                  r.name as "owner_role: PgName", l.created_at
           from logical_databases l join database_roles r on r.id = l.owner_role_id
           where l.organization_id = $1 and l.database_id = $2 order by l.id"#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

pub async fn delete(tx: &mut TenantTx, id: LogicalDatabaseId) -> Result<(), StoreError> {
    sqlx::query!("delete from logical_databases where id = $1", id.uuid())
        .execute(tx.connection())
        .await?;
    Ok(())
}
