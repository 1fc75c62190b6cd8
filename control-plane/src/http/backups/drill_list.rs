use crate::app::archive::drill::{self, Drill};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// List drills of a database
///
/// Newest first: restores into a scratch place that show whether its backups are good.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/drills",
    tag = "backups",
    operation_id = "drill_list",
    params(("database_id" = DatabaseId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<Drill>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn drill_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    page: Pagination,
) -> Result<Json<Page<Drill>>, AppError> {
    let before = page.cursor()?;
    let rows = drill::drill_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
