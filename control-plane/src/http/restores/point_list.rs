use crate::app::archive::restore_point::{self, RestorePoint};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// List restore points of a database
///
/// Newest first; those that fell out of the window are not there any more.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/restore-points",
    tag = "restores",
    operation_id = "restore_point_list",
    params(("database_id" = DatabaseId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<RestorePoint>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn restore_point_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    page: Pagination,
) -> Result<Json<Page<RestorePoint>>, AppError> {
    let before = page.cursor()?;
    let rows =
        restore_point::restore_point_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
