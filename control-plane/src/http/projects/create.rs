use crate::app::project::{self, Project, ProjectWrite};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, ValidJson};
use crate::http::tagged::Tagged;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::OrganizationId;

/// Create a project
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization_id}/projects",
    tag = "projects",
    operation_id = "project_create",
    params(("organization_id" = OrganizationId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    request_body = ProjectWrite,
    responses((status = 201, description = "Created.", body = Project)),
    extensions(("x-action" = json!("project_write"))),
)]
pub(super) async fn project_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    IdempotencyKey(request): IdempotencyKey,
    ValidJson(input): ValidJson<ProjectWrite>,
) -> Result<(StatusCode, Tagged<Project>), AppError> {
    let made = project::project_create(&platform, &caller, id, request.as_ref(), input).await?;
    Ok((StatusCode::CREATED, Tagged(made.revision, made)))
}
