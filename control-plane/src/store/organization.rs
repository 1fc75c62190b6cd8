//! Organizations, and who belongs to them.

use crate::app::OrganizationRole;
use crate::store::{IdentityTx, StoreError, TenantTx};
use lumadb_contract::id::{OrganizationId, ProjectId, UserId};
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct OrganizationRow {
    pub id: OrganizationId,
    pub name: String,
    pub plan_id: String,
    pub revision: i64,
    pub created_at: OffsetDateTime,
}

/// An organization that the user belongs to.
#[derive(Debug, Clone)]
pub struct MembershipRow {
    pub id: OrganizationId,
    pub name: String,
    pub plan_id: String,
    pub role: String,
    pub default_project_id: Option<ProjectId>,
}

/// Adds an organization with its first member, the transaction's user.
pub async fn insert(
    tx: &mut IdentityTx,
    organization: &OrganizationRow,
    user: UserId,
    role: OrganizationRole,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into organizations (id, name, plan_id, created_at) values ($1, $2, $3, $4)",
        organization.id.uuid(),
        organization.name,
        organization.plan_id,
        organization.created_at
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "insert into memberships (organization_id, user_id, role, created_at)
         values ($1, $2, $3, $4)",
        organization.id.uuid(),
        user.uuid(),
        role.as_str(),
        organization.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The organizations of the transaction's user, oldest first.
pub async fn list_of_user(tx: &mut IdentityTx) -> Result<Vec<MembershipRow>, StoreError> {
    let rows = sqlx::query_as!(
        MembershipRow,
        r#"select o.id as "id: OrganizationId", o.name, o.plan_id, m.role,
                  (select p.id from projects p where p.organization_id = o.id
                   order by p.id limit 1) as "default_project_id: ProjectId"
           from memberships m join organizations o on o.id = m.organization_id
           where m.user_id = scope_user()
           order by o.id limit 1000"#
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// The transaction's organization.
pub async fn find(tx: &mut TenantTx) -> Result<Option<OrganizationRow>, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        OrganizationRow,
        r#"select id as "id: OrganizationId", name, plan_id, revision, created_at
           from organizations where id = $1"#,
        organization.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Renames the transaction's organization, unless it is at another revision than expected.
pub async fn rename(
    tx: &mut TenantTx,
    name: &str,
    revision: Option<i64>,
) -> Result<Option<OrganizationRow>, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query_as!(
        OrganizationRow,
        r#"update organizations set name = $2, revision = revision + 1
           where id = $1 and ($3::bigint is null or revision = $3)
           returning id as "id: OrganizationId", name, plan_id, revision, created_at"#,
        organization.uuid(),
        name,
        revision
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}
