use crate::app::database::{self, DeletedDatabase};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::ProjectId;

/// List deleted databases
///
/// Those that can still be restored, oldest first. `restore-window`, `backups`, `restore-points` and
/// `restore` of such a database answer as before it was deleted.
#[utoipa::path(
    get,
    path = "/v1/projects/{project_id}/deleted-databases",
    tag = "databases",
    operation_id = "deleted_database_list",
    params(("project_id" = ProjectId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<DeletedDatabase>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn deleted_database_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ProjectId>,
    page: Pagination,
) -> Result<Json<Page<DeletedDatabase>>, AppError> {
    let after = page.cursor()?;
    let rows = database::deleted_database_list(&platform, &caller, id, after, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
