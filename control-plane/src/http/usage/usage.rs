use crate::app::usage::{self, Usage, UsageQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Get the usage of a database
///
/// By hour or day, in exact quantities.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/usage",
    tag = "usage",
    operation_id = "usage_get",
    params(("database_id" = DatabaseId, Path), UsageQuery),
    responses((status = 200, description = "Usage.", body = Usage)),
    extensions(("x-action" = json!("usage_read"))),
)]
pub(super) async fn usage_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    ValidQuery(query): ValidQuery<UsageQuery>,
) -> Result<Json<Usage>, AppError> {
    usage::usage_get(&platform, &caller, id, query)
        .await
        .map(Json)
}
