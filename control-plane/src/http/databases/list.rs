use crate::app::database::{self, Database};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::ProjectId;

/// List databases
///
/// Oldest first.
#[utoipa::path(
    get,
    path = "/v1/projects/{project_id}/databases",
    tag = "databases",
    operation_id = "database_list",
    params(("project_id" = ProjectId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<Database>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn database_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ProjectId>,
    page: Pagination,
) -> Result<Json<Page<Database>>, AppError> {
    let after = page.cursor()?;
    let rows = database::database_list(&platform, &caller, id, after, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
