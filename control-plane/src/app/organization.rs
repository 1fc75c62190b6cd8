//! Organizations.

use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::new_audit_event;
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::organization::{self, OrganizationRow};
use crate::store::{TenantTx, audit};
use lumadb_contract::id::OrganizationId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Longest name of an organization or a project, characters.
pub const NAME_CHARACTERS_MAX: usize = 100;

/// Who pays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Organization {
    pub id: OrganizationId,
    pub name: String,
    pub plan_id: String,
    /// Counts every change; as `ETag`.
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<OrganizationRow> for Organization {
    fn from(row: OrganizationRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            plan_id: row.plan_id,
            revision: row.revision,
            created_at: row.created_at,
        }
    }
}

/// What is to be changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationUpdate {
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    pub name: String,
}

pub async fn organization_get(
    platform: &Platform,
    caller: &Caller,
    id: OrganizationId,
) -> Result<Organization, AppError> {
    let member = authorize(platform, caller, id, Action::OrganizationRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = find(&mut tx, id).await?;
    tx.commit().await?;
    Ok(row.into())
}

/// `revision` is the one that the caller means to change; `None` for any.
pub async fn organization_update(
    platform: &Platform,
    caller: &Caller,
    id: OrganizationId,
    revision: Option<i64>,
    input: OrganizationUpdate,
) -> Result<Organization, AppError> {
    let member = authorize(platform, caller, id, Action::OrganizationUpdate).await?;
    let mut fields = FieldErrors::new();
    let name = fields.display_name("name", &input.name, NAME_CHARACTERS_MAX);
    fields.finish()?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = organization::rename(&mut tx, &name, revision)
        .await?
        .ok_or_else(changed_meanwhile)?;
    let details = json!({ "name": name });
    let event = new_audit_event(
        platform,
        caller,
        AuditAction::OrganizationUpdate,
        id,
        details,
    );
    audit::insert(&mut tx, &event).await?;
    tx.commit().await?;
    Ok(row.into())
}

async fn find(tx: &mut TenantTx, id: OrganizationId) -> Result<OrganizationRow, AppError> {
    organization::find(tx)
        .await?
        .ok_or_else(|| AppError::not_found("organization", id))
}

/// The resource is at another revision than the one that the caller has read.
pub fn changed_meanwhile() -> AppError {
    AppError::rejected(
        ProblemType::PreconditionFailed,
        "It was changed since you read it: read it again.",
    )
}
