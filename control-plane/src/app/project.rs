//! Projects.

use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change, IdempotentRequest, new_audit_event};
use crate::app::organization::{NAME_CHARACTERS_MAX, changed_meanwhile};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::audit;
use crate::store::project::{self, ProjectRow};
use lumadb_contract::id::{OrganizationId, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Most projects of an organization.
const PROJECTS_MAX: i64 = 1000;

/// A group of databases.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Project {
    pub id: ProjectId,
    pub organization_id: OrganizationId,
    pub name: String,
    /// Counts every change; as `ETag`.
    pub revision: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<ProjectRow> for Project {
    fn from(row: ProjectRow) -> Self {
        Self {
            id: row.id,
            organization_id: row.organization_id,
            name: row.name,
            revision: row.revision,
            created_at: row.created_at,
        }
    }
}

/// A project that is to be made, or its new name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectWrite {
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    pub name: String,
}

impl ProjectWrite {
    fn checked_name(&self) -> Result<String, AppError> {
        let mut fields = FieldErrors::new();
        let name = fields.display_name("name", &self.name, NAME_CHARACTERS_MAX);
        fields.finish()?;
        Ok(name)
    }
}

pub async fn project_create(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    request: Option<&IdempotentRequest>,
    input: ProjectWrite,
) -> Result<Project, AppError> {
    let member = authorize(platform, caller, organization, Action::ProjectWrite).await?;
    let name = input.checked_name()?;
    let mut change = match Change::begin(platform, caller, member, request).await? {
        Begun::Replayed(answer) => return Ok(answer),
        Begun::Fresh(change) => change,
    };
    if project::count(&mut change).await? >= PROJECTS_MAX {
        return Err(AppError::rejected(
            ProblemType::QuotaExceeded,
            format!("An organization has at most {PROJECTS_MAX} projects."),
        ));
    }
    let row = ProjectRow {
        id: ProjectId::from_uuid(platform.clock.new_uuid()),
        organization_id: organization,
        name,
        revision: 1,
        created_at: platform.clock.now(),
    };
    project::insert(&mut change, &row).await?;
    let details = json!({ "name": row.name });
    change
        .audit(AuditAction::ProjectCreate, row.id, details)
        .await?;
    change.commit(row.into()).await
}

/// Oldest first, from behind `after` on; one more than is shown.
pub async fn project_list(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    after: Option<ProjectId>,
    limit: i64,
) -> Result<Vec<Project>, AppError> {
    let member = authorize(platform, caller, organization, Action::ProjectRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let rows = project::list(&mut tx, after, limit).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(Project::from).collect())
}

pub async fn project_get(
    platform: &Platform,
    caller: &Caller,
    id: ProjectId,
) -> Result<Project, AppError> {
    let member = authorize(platform, caller, id, Action::ProjectRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = project::find(&mut tx, id).await?;
    tx.commit().await?;
    row.map(Project::from)
        .ok_or_else(|| AppError::not_found("project", id))
}

/// `revision` is the one that the caller means to change; `None` for any.
pub async fn project_update(
    platform: &Platform,
    caller: &Caller,
    id: ProjectId,
    revision: Option<i64>,
    input: ProjectWrite,
) -> Result<Project, AppError> {
    let member = authorize(platform, caller, id, Action::ProjectWrite).await?;
    let name = input.checked_name()?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = project::rename(&mut tx, id, &name, revision)
        .await?
        .ok_or_else(changed_meanwhile)?;
    let details = json!({ "name": name });
    let event = new_audit_event(platform, caller, AuditAction::ProjectUpdate, id, details);
    audit::insert(&mut tx, &event).await?;
    tx.commit().await?;
    Ok(row.into())
}
