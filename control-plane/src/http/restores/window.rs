use crate::app::archive::window::{self, RestoreWindow};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Get what a database can be restored to
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/restore-window",
    tag = "restores",
    operation_id = "restore_window_get",
    params(("database_id" = DatabaseId, Path)),
    responses((status = 200, description = "The moments, and how far the archive is.", body = RestoreWindow)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn restore_window_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
) -> Result<Json<RestoreWindow>, AppError> {
    Ok(Json(
        window::restore_window_get(&platform, &caller, id).await?,
    ))
}
