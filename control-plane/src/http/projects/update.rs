use crate::app::project::{self, Project, ProjectWrite};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IfMatch, PathId, ValidJson};
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::ProjectId;

/// Change a project
#[utoipa::path(
    patch,
    path = "/v1/projects/{project_id}",
    tag = "projects",
    operation_id = "project_update",
    params(("project_id" = ProjectId, Path), ("If-Match" = Option<String>, Header, description = "The ETag of what you mean to change.")),
    request_body = ProjectWrite,
    responses((status = 200, description = "As it is now.", body = Project, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("project_write"))),
)]
pub(super) async fn project_update(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ProjectId>,
    if_match: IfMatch,
    ValidJson(input): ValidJson<ProjectWrite>,
) -> Result<Tagged<Project>, AppError> {
    let changed = project::project_update(&platform, &caller, id, if_match.0, input).await?;
    Ok(Tagged(changed.revision, changed))
}
