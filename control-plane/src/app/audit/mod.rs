//! The audit log: what is written down in it, and to read it.

mod action;

pub use action::AuditAction;

use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::audit::{self, AuditEventRow};
use lumadb_contract::id::{AuditEventId, OrganizationId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What happened, by whom and to what.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditEvent {
    pub id: AuditEventId,
    /// `usr_…`, `tok_…` or `system`.
    pub actor: String,
    pub action: AuditAction,
    /// Identifier of what was changed.
    pub resource: String,
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
    pub client_address: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<AuditEventRow> for AuditEvent {
    fn from(row: AuditEventRow) -> Self {
        Self {
            id: row.id,
            actor: row.actor,
            action: AuditAction::of(&row.action),
            resource: row.resource,
            details: row.details,
            client_address: row.client_address,
            created_at: row.created_at,
        }
    }
}

/// Newest first, from below `before` on; one more than is shown.
pub async fn audit_event_list(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    before: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<AuditEvent>, AppError> {
    let member = authorize(platform, caller, organization, Action::AuditRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let rows = audit::list(&mut tx, before, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(AuditEvent::from).collect())
}
