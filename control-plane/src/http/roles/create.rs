use crate::app::role::{self, RoleCreate, RoleWithPassword};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, Prefer, ValidJson};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::DatabaseId;

/// Create a role
///
/// With a password that we choose.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/roles",
    tag = "roles",
    operation_id = "role_create",
    params(("database_id" = DatabaseId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    request_body = RoleCreate,
    responses((status = 201, description = "Created.", body = RoleWithPassword)),
    extensions(("x-action" = json!("role_write"))),
)]
pub(super) async fn role_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    IdempotencyKey(request): IdempotencyKey,
    prefer: Prefer,
    ValidJson(input): ValidJson<RoleCreate>,
) -> Result<(StatusCode, Json<RoleWithPassword>), AppError> {
    let mut made = role::role_create(&platform, &caller, id, request.as_ref(), input).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.operation(&mut made.operation).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
