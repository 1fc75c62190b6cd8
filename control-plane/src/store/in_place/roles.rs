//! Roles of the one that is kept: before the exchange they become the database's.

use super::OpenInPlace;
use crate::store::role::{RoleRow, StoredPassword};
use crate::store::{RegionTx, StoreError};
use lumadb_contract::id::{DatabaseId, RoleId};
use lumadb_contract::name::PgName;

/// The roles of a database.
pub async fn roles(tx: &mut RegionTx, database: DatabaseId) -> Result<Vec<RoleRow>, StoreError> {
    let rows = sqlx::query_as!(
        RoleRow,
        r#"select id as "id: RoleId", name as "name: PgName", is_owner, verifier,
                  password_sealed, created_at, password_changed_at
           from database_roles where database_id = $1 order by id"#,
        database.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Gives the kept one a role as the database has it; `id` is its role of this name, or a new one.
pub async fn role_put(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    id: RoleId,
    like: &RoleRow,
    password: &StoredPassword<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into database_roles (id, organization_id, database_id, name, verifier,
             password_sealed, is_owner, created_at, password_changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (database_id, name) do update
         set verifier = excluded.verifier, password_sealed = excluded.password_sealed,
             is_owner = excluded.is_owner, password_changed_at = excluded.password_changed_at",
        id.uuid(),
        open.organization_id.uuid(),
        open.kept.id.uuid(),
        like.name.as_str(),
        password.verifier,
        password.sealed,
        like.is_owner,
        like.created_at,
        like.password_changed_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes the roles of the kept one that the database does not have.
pub async fn roles_prune(tx: &mut RegionTx, open: &OpenInPlace) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from database_roles r where r.database_id = $2
           and not exists (select from database_roles o
                           where o.database_id = $1 and o.name = r.name)",
        open.database.id.uuid(),
        open.kept.id.uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
