use crate::app::import::{self, Import};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// List imports into a database
///
/// Newest first; those that have ended too.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/imports",
    tag = "imports",
    operation_id = "import_list",
    params(("database_id" = DatabaseId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<Import>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn import_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    page: Pagination,
) -> Result<Json<Page<Import>>, AppError> {
    let before = page.cursor()?;
    let rows = import::import_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
