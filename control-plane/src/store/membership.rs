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

/// Makes `…_locate` for what lies in a table: the SQL is checked for each.
macro_rules! locate {
    ($locate:ident, $id:ty, $table:tt) => {
        /// `None` unless the transaction's user is a member of the organization that owns it.
        pub async fn $locate(tx: &mut IdentityTx, id: $id) -> Result<Option<Located>, StoreError> {
            located(
                sqlx::query_as!(
                    Row,
                    r#"select o.organization_id as "organization_id: OrganizationId", m.role from "#
                        + $table
                        + "
                         o join memberships m on m.organization_id = o.organization_id
                                             and m.user_id = scope_user()
                         where o.id = $1",
                    id.uuid()
                )
                .fetch_optional(tx.connection())
                .await?,
            )
        }
    };
}

locate!(project_locate, ProjectId, "projects");
locate!(database_locate, DatabaseId, "databases");
locate!(operation_locate, OperationId, "operations");
locate!(backup_locate, BackupId, "backups");
locate!(import_locate, ImportId, "imports");
locate!(invoice_locate, InvoiceId, "invoices");
