use crate::app::logical_database::{self, LogicalDatabaseChanged};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, Prefer};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::{DatabaseId, LogicalDatabaseId};

/// Delete a logical database
///
/// With everything in it; sessions that use it are ended.
#[utoipa::path(
    delete,
    path = "/v1/databases/{database_id}/logical-databases/{logical_database_id}",
    tag = "logical databases",
    operation_id = "logical_database_delete",
    params(("database_id" = DatabaseId, Path), ("logical_database_id" = LogicalDatabaseId, Path), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    responses((status = 200, description = "It is being deleted.", body = LogicalDatabaseChanged)),
    extensions(("x-action" = json!("role_write"))),
)]
pub(super) async fn logical_database_delete(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(ids): PathId<(DatabaseId, LogicalDatabaseId)>,
    prefer: Prefer,
) -> Result<Json<LogicalDatabaseChanged>, AppError> {
    let mut deleted = logical_database::logical_database_delete(&platform, &caller, ids).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.operation(&mut deleted.operation).await?;
    Ok(Json(deleted))
}
