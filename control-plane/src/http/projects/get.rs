use crate::app::project::{self, Project};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::ProjectId;

/// Get a project
#[utoipa::path(
    get,
    path = "/v1/projects/{project_id}",
    tag = "projects",
    operation_id = "project_get",
    params(("project_id" = ProjectId, Path)),
    responses((status = 200, description = "The project.", body = Project, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("project_read"))),
)]
pub(super) async fn project_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ProjectId>,
) -> Result<Tagged<Project>, AppError> {
    let found = project::project_get(&platform, &caller, id).await?;
    Ok(Tagged(found.revision, found))
}
