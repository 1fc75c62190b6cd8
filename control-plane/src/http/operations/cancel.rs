use crate::app::operation::{self, Operation};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OperationId;

/// Cancel an operation
///
/// Brings back what was wished before. Only the latest change of a database can be cancelled.
#[utoipa::path(
    post,
    path = "/v1/operations/{operation_id}/cancel",
    tag = "operations",
    operation_id = "operation_cancel",
    params(("operation_id" = OperationId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    responses((status = 200, description = "It is cancelled.", body = Operation)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn operation_cancel(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OperationId>,
    IdempotencyKey(request): IdempotencyKey,
) -> Result<Json<Operation>, AppError> {
    operation::operation_cancel(&platform, &caller, id, request.as_ref())
        .await
        .map(Json)
}
