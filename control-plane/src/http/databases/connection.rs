use crate::app::database::connection::{self, Connection, ConnectionQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Get connection strings
///
/// One for each kind of client, with the password for those who may connect.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/connection",
    tag = "databases",
    operation_id = "connection_get",
    params(("database_id" = DatabaseId, Path), ConnectionQuery),
    responses((status = 200, description = "What a client needs.", body = Connection)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn connection_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    ValidQuery(query): ValidQuery<ConnectionQuery>,
) -> Result<Json<Connection>, AppError> {
    connection::connection_get(&platform, &caller, id, query)
        .await
        .map(Json)
}
