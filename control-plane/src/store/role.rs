//! Login roles of a database.

use super::{StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, RoleId};
use lumadb_contract::name::PgName;
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct RoleRow {
    pub id: RoleId,
    pub name: PgName,
    pub is_owner: bool,
    pub verifier: String,
    pub password_sealed: Vec<u8>,
    pub created_at: OffsetDateTime,
    pub password_changed_at: OffsetDateTime,
}

/// A password: what it is checked against, and itself under the control plane's key.
#[derive(Debug)]
pub struct StoredPassword<'a> {
    pub verifier: &'a str,
    pub sealed: &'a [u8],
}

/// Name of the constraint by which two roles of a database cannot share a name.
pub const NAME_UNIQUE: &str = "database_roles_database_id_name_key";

pub async fn insert(
    tx: &mut TenantTx,
    database: DatabaseId,
    id: RoleId,
    name: &PgName,
    is_owner: bool,
    password: &StoredPassword<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into database_roles (id, organization_id, database_id, name, verifier,
             password_sealed, is_owner, created_at, password_changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        id.uuid(),
        organization.uuid(),
        database.uuid(),
        name.as_str(),
        password.verifier,
        password.sealed,
        is_owner,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The owner first, then by age.
pub async fn list(tx: &mut TenantTx, database: DatabaseId) -> Result<Vec<RoleRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        RoleRow,
        r#"select id as "id: RoleId", name as "name: PgName", is_owner, verifier,
                  password_sealed, created_at, password_changed_at
           from database_roles where organization_id = $1 and database_id = $2
           order by is_owner desc, id"#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

pub async fn password_change(
    tx: &mut TenantTx,
    id: RoleId,
    password: &StoredPassword<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update database_roles set verifier = $2, password_sealed = $3, password_changed_at = $4
         where id = $1",
        id.uuid(),
        password.verifier,
        password.sealed,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes a role; the logical databases that it owned become `heir`'s.
pub async fn delete(tx: &mut TenantTx, id: RoleId, heir: RoleId) -> Result<(), StoreError> {
    sqlx::query!(
        "update logical_databases set owner_role_id = $2 where owner_role_id = $1",
        id.uuid(),
        heir.uuid()
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!("delete from database_roles where id = $1", id.uuid())
        .execute(tx.connection())
        .await?;
    Ok(())
}
