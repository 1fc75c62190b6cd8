//! Who belongs to which organization, and which organization owns what a path names.

use crate::app::OrganizationRole;
use crate::store::{IdentityTx, StoreError};
use lumadb_contract::id::{
    BackupId, DatabaseId, ImportId, InvoiceId, OperationId, OrganizationId, ProjectId,
};

/// The organization that owns something, and the caller's role in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    pub organization: OrganizationId,
    pub role: OrganizationRole,
}

struct Row {
    organization_id: OrganizationId,
    role: String,
}

fn located(row: Option<Row>) -> Result<Option<Located>, StoreError> {
    row.map(|row| {
        let role = row.role.parse().map_err(|_| {
            StoreError::Corrupt(format!("`{}` is no role of an organization", row.role))
        })?;
        Ok(Located {
            organization: row.organization_id,
            role,
        })
    })
    .transpose()
}

/// `None` unless the transaction's user is a member.
pub async fn organization_locate(
    tx: &mut IdentityTx,
    id: OrganizationId,
) -> Result<Option<Located>, StoreError> {
    located(
        sqlx::query_as!(
            Row,
            r#"select organization_id as "organization_id: OrganizationId", role
               from memberships where organization_id = $1 and user_id = scope_user()"#,
            id.uuid()
        )
        .fetch_optional(tx.connection())
        .await?,
    )
}

/// `None` unless the transaction's user is a member of the organization that owns it.
pub async fn project_locate(
    tx: &mut IdentityTx,
    id: ProjectId,
) -> Result<Option<Located>, StoreError> {
    located(
        sqlx::query_as!(
            Row,
            r#"select o.organization_id as "organization_id: OrganizationId", m.role
               from projects o
               join memberships m on m.organization_id = o.organization_id
                                 and m.user_id = scope_user()
               where o.id = $1"#,
            id.uuid()
        )
        .fetch_optional(tx.connection())
        .await?,
    )
}

/// `None` unless the transaction's user is a member of the organization that owns it.
pub async fn database_locate(
    tx: &mut IdentityTx,
    id: DatabaseId,
) -> Result<Option<Located>, StoreError> {
    located(
        sqlx::query_as!(
            Row,
            r#"select o.organization_id as "organization_id: OrganizationId", m.role
               from databases o
               join memberships m on m.organization_id = o.organization_id
                                 and m.user_id = scope_user()
               where o.id = $1"#,
            id.uuid()
        )
        .fetch_optional(tx.connection())
        .await?,
    )
}

/// `None` unless the transaction's user is a member of the organization that owns it.
pub async fn operation_locate(
    tx: &mut IdentityTx,
    id: OperationId,
) -> Result<Option<Located>, StoreError> {
    located(
        sqlx::query_as!(
            Row,
            r#"select o.organization_id as "organization_id: OrganizationId", m.role
               from operations o
               join memberships m on m.organization_id = o.organization_id
                                 and m.user_id = scope_user()
               where o.id = $1"#,
            id.uuid()
        )
        .fetch_optional(tx.connection())
        .await?,
    )
}

/// `None` unless the transaction's user is a member of the organization that owns it.
pub async fn backup_locate(
    tx: &mut IdentityTx,
    id: BackupId,
) -> Result<Option<Located>, StoreError> {
    located(
        sqlx::query_as!(
            Row,
            r#"select o.organization_id as "organization_id: OrganizationId", m.role
               from backups o
               join memberships m on m.organization_id = o.organization_id
                                 and m.user_id = scope_user()
               where o.id = $1"#,
            id.uuid()
        )
        .fetch_optional(tx.connection())
        .await?,
    )
}

/// `None` unless the transaction's user is a member of the organization that owns it.
pub async fn import_locate(
    tx: &mut IdentityTx,
    id: ImportId,
) -> Result<Option<Located>, StoreError> {
    located(
        sqlx::query_as!(
            Row,
            r#"select o.organization_id as "organization_id: OrganizationId", m.role
               from imports o
               join memberships m on m.organization_id = o.organization_id
                                 and m.user_id = scope_user()
               where o.id = $1"#,
            id.uuid()
        )
        .fetch_optional(tx.connection())
        .await?,
    )
}

/// `None` unless the transaction's user is a member of the organization that owns it.
pub async fn invoice_locate(
    tx: &mut IdentityTx,
    id: InvoiceId,
) -> Result<Option<Located>, StoreError> {
    located(
        sqlx::query_as!(
            Row,
            r#"select o.organization_id as "organization_id: OrganizationId", m.role
               from invoices o
               join memberships m on m.organization_id = o.organization_id
                                 and m.user_id = scope_user()
               where o.id = $1"#,
            id.uuid()
        )
        .fetch_optional(tx.connection())
        .await?,
    )
}
