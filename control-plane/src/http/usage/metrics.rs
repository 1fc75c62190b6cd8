use crate::app::usage::{self, Metrics, MetricsQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Get live figures of a database
///
/// For charts of the last minutes or hours.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/metrics",
    tag = "usage",
    operation_id = "metrics_get",
    params(("database_id" = DatabaseId, Path), MetricsQuery),
    responses((status = 200, description = "Figures.", body = Metrics)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn metrics_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    ValidQuery(query): ValidQuery<MetricsQuery>,
) -> Result<Json<Metrics>, AppError> {
    usage::metrics_get(&platform, &caller, id, query)
        .await
        .map(Json)
}
