use crate::app::logical_database::{self, LogicalDatabase};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// List logical databases
///
/// Those made here; what was made by SQL is not among them.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/logical-databases",
    tag = "logical databases",
    operation_id = "logical_database_list",
    params(("database_id" = DatabaseId, Path)),
    responses((status = 200, description = "The logical databases, oldest first.", body = Page<LogicalDatabase>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn logical_database_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
) -> Result<Json<Page<LogicalDatabase>>, AppError> {
    let items = logical_database::logical_database_list(&platform, &caller, id).await?;
    Ok(Json(Page::whole(items)))
}
