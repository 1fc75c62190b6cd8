use crate::app::archive::restore_point::{self, RestorePoint, RestorePointCreate};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, ValidJson};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::DatabaseId;

/// Name the present moment
///
/// A database that sleeps wakes up for it. The moment is made soon after: `made_at` says when.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/restore-points",
    tag = "restores",
    operation_id = "restore_point_create",
    params(("database_id" = DatabaseId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    request_body = RestorePointCreate,
    responses((status = 201, description = "Asked for.", body = RestorePoint)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn restore_point_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    IdempotencyKey(request): IdempotencyKey,
    ValidJson(input): ValidJson<RestorePointCreate>,
) -> Result<(StatusCode, Json<RestorePoint>), AppError> {
    let request = request.as_ref();
    let made = restore_point::restore_point_create(&platform, &caller, id, request, input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
