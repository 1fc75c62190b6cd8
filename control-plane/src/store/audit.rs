//! The audit log: rows are added in the transaction of the change that they tell of, and never
//! changed.

use crate::app::audit::AuditAction;
use crate::store::{IdentityTx, RegionTx, StoreError, TenantTx};
use lumadb_contract::id::{AuditEventId, OrganizationId};
use sqlx::PgConnection;
use std::net::IpAddr;
use time::OffsetDateTime;

/// What happened, by whom and to what.
#[derive(Debug, Clone)]
pub struct NewAuditEvent {
    pub id: AuditEventId,
    /// `usr_…`, `tok_…` or `system`.
    pub actor: String,
    pub action: AuditAction,
    /// Identifier of what was changed.
    pub resource: String,
    /// What else is worth knowing; never a secret.
    pub details: serde_json::Value,
    pub client_address: Option<IpAddr>,
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Clone)]
pub struct AuditEventRow {
    pub id: AuditEventId,
    pub actor: String,
    /// What a newer release wrote may be among them.
    pub action: String,
    pub resource: String,
    pub details: serde_json::Value,
    pub client_address: Option<String>,
    pub created_at: OffsetDateTime,
}

/// Adds an event of the transaction's organization.
pub async fn insert(tx: &mut TenantTx, event: &NewAuditEvent) -> Result<(), StoreError> {
    let organization = tx.organization();
    write(tx.connection(), organization, event).await
}

/// Adds an event to an organization that the transaction's user belongs to.
pub async fn insert_as_identity(
    tx: &mut IdentityTx,
    organization: OrganizationId,
    event: &NewAuditEvent,
) -> Result<(), StoreError> {
    write(tx.connection(), organization, event).await
}

/// Adds an event of the platform's own doing.
pub async fn insert_as_region(
    tx: &mut RegionTx,
    organization: OrganizationId,
    event: &NewAuditEvent,
) -> Result<(), StoreError> {
    write(tx.connection(), organization, event).await
}

async fn write(
    connection: &mut PgConnection,
    organization: OrganizationId,
    event: &NewAuditEvent,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into audit_events
             (id, organization_id, actor, action, resource, details, client_address, created_at)
         values ($1, $2, $3, $4, $5, $6, $7::text::inet, $8)",
        event.id.uuid(),
        organization.uuid(),
        event.actor,
        event.action.as_str(),
        event.resource,
        event.details,
        event.client_address.map(|address| address.to_string()),
        event.created_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Newest first, from below `before` on.
pub async fn list(
    tx: &mut TenantTx,
    before: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<AuditEventRow>, StoreError> {
    let rows = sqlx::query_as!(
        AuditEventRow,
        r#"select id as "id: AuditEventId", actor, action, resource, details,
                  host(client_address) as client_address, created_at
           from audit_events
           where $1::uuid is null or id < $1
           order by id desc limit $2"#,
        before.map(AuditEventId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
