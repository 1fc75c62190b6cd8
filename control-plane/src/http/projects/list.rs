use crate::app::project::{self, Project};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// List projects
///
/// Oldest first.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/projects",
    tag = "projects",
    operation_id = "project_list",
    params(("organization_id" = OrganizationId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<Project>)),
    extensions(("x-action" = json!("project_read"))),
)]
pub(super) async fn project_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    page: Pagination,
) -> Result<Json<Page<Project>>, AppError> {
    let after = page.cursor()?;
    let rows = project::project_list(&platform, &caller, id, after, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
