use crate::app::operation::{self, Operation};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// List operations of a database
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/operations",
    tag = "operations",
    operation_id = "operation_list",
    params(("database_id" = DatabaseId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<Operation>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn operation_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    page: Pagination,
) -> Result<Json<Page<Operation>>, AppError> {
    let before = page.cursor()?;
    let rows = operation::operation_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
