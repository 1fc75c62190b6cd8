use crate::app::usage::{self, SamplesQuery, UsageSamples};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Get the samples of an hour of a database
///
/// What its nodes said, and the times through which compute was granted: an hour of usage is their
/// sum. Samples are kept for 45 days.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/usage/samples",
    tag = "usage",
    operation_id = "usage_samples_get",
    params(("database_id" = DatabaseId, Path), SamplesQuery),
    responses((status = 200, description = "A page.", body = UsageSamples)),
    extensions(("x-action" = json!("usage_read"))),
)]
pub(super) async fn usage_samples_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    ValidQuery(query): ValidQuery<SamplesQuery>,
) -> Result<Json<UsageSamples>, AppError> {
    usage::samples_get(&platform, &caller, id, query)
        .await
        .map(Json)
}
