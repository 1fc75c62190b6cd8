use crate::app::archive::backup::{self, Backup};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// List backups of a database
///
/// Newest first; those that failed or have expired too.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/backups",
    tag = "backups",
    operation_id = "backup_list",
    params(("database_id" = DatabaseId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<Backup>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn backup_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    page: Pagination,
) -> Result<Json<Page<Backup>>, AppError> {
    let before = page.cursor()?;
    let rows = backup::backup_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
