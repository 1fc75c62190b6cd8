use crate::app::sql::{self, SqlAnswer, SqlQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidJson};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Run SQL
///
/// As a role of the database, in a session of its own; a sleeping database wakes. An error of
/// PostgreSQL's is part of the answer. It ends after a minute at the latest.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/query",
    tag = "sql",
    operation_id = "sql_query",
    params(("database_id" = DatabaseId, Path)),
    request_body = SqlQuery,
    responses((status = 200, description = "What came back.", body = SqlAnswer)),
    extensions(("x-action" = json!("database_connect"))),
)]
pub(super) async fn sql_query(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    ValidJson(input): ValidJson<SqlQuery>,
) -> Result<Json<SqlAnswer>, AppError> {
    sql::sql_query(&platform, &caller, id, input)
        .await
        .map(Json)
}
