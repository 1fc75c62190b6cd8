use crate::app::sql;
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::DatabaseId;
use uuid::Uuid;

/// Cancel a query
///
/// Of the SQL editor, by the name that its client gave it. One that has ended is no error.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/query/{query_id}/cancel",
    tag = "sql",
    operation_id = "sql_cancel",
    params(("database_id" = DatabaseId, Path), ("query_id" = String, Path, format = "uuid")),
    responses((status = 204, description = "It is told to end.")),
    extensions(("x-action" = json!("database_connect"))),
)]
pub(super) async fn sql_cancel(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId((id, query_id)): PathId<(DatabaseId, Uuid)>,
) -> Result<StatusCode, AppError> {
    sql::sql_cancel(&platform, &caller, id, query_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
