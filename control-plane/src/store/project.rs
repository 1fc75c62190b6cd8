//! Projects.

use crate::store::{IdentityTx, StoreError, TenantTx};
use lumadb_contract::id::{OrganizationId, ProjectId};
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct ProjectRow {
    pub id: ProjectId,
    pub organization_id: OrganizationId,
    pub name: String,
    pub revision: i64,
    pub created_at: OffsetDateTime,
}

/// Adds the first project of an organization that the transaction's user has just made.
pub async fn insert_as_identity(
    tx: &mut IdentityTx,
    project: &ProjectRow,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into projects (id, organization_id, name, created_at) values ($1, $2, $3, $4)",
        project.id.uuid(),
        project.organization_id.uuid(),
        project.name,
        project.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn insert(tx: &mut TenantTx, project: &ProjectRow) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into projects (id, organization_id, name, created_at) values ($1, $2, $3, $4)",
        project.id.uuid(),
        project.organization_id.uuid(),
        project.name,
        project.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// How many projects the organization has.
pub async fn count(tx: &mut TenantTx) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from projects"#)
        .fetch_one(tx.connection())
        .await?;
    Ok(count)
}

pub async fn find(tx: &mut TenantTx, id: ProjectId) -> Result<Option<ProjectRow>, StoreError> {
    let row = sqlx::query_as!(
        ProjectRow,
        r#"select id as "id: ProjectId", organization_id as "organization_id: OrganizationId",
                  name, revision, created_at
           from projects where id = $1"#,
        id.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// Oldest first, from behind `after` on.
pub async fn list(
    tx: &mut TenantTx,
    after: Option<ProjectId>,
    limit: i64,
) -> Result<Vec<ProjectRow>, StoreError> {
    let rows = sqlx::query_as!(
        ProjectRow,
        r#"select id as "id: ProjectId", organization_id as "organization_id: OrganizationId",
                  name, revision, created_at
           from projects where $1::uuid is null or id > $1
           order by id limit $2"#,
        after.map(ProjectId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Renames a project, unless it is at another revision than expected.
pub async fn rename(
    tx: &mut TenantTx,
    id: ProjectId,
    name: &str,
    revision: Option<i64>,
) -> Result<Option<ProjectRow>, StoreError> {
    let row = sqlx::query_as!(
        ProjectRow,
        r#"update projects set name = $2, revision = revision + 1
           where id = $1 and ($3::bigint is null or revision = $3)
           returning id as "id: ProjectId", organization_id as "organization_id: OrganizationId",
                     name, revision, created_at"#,
        id.uuid(),
        name,
        revision
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}
