use crate::app::role::{self, RoleWithPassword};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, Prefer};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::{DatabaseId, RoleId};

/// Rotate the password of a role
///
/// The old one stops working and the role's sessions are ended.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/roles/{role_id}/rotate-password",
    tag = "roles",
    operation_id = "role_rotate_password",
    params(("database_id" = DatabaseId, Path), ("role_id" = RoleId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    responses((status = 200, description = "The new password.", body = RoleWithPassword)),
    extensions(("x-action" = json!("role_write"))),
)]
pub(super) async fn role_rotate_password(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(ids): PathId<(DatabaseId, RoleId)>,
    IdempotencyKey(request): IdempotencyKey,
    prefer: Prefer,
) -> Result<Json<RoleWithPassword>, AppError> {
    let request = request.as_ref();
    let mut changed = role::role_rotate_password(&platform, &caller, ids, request).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.operation(&mut changed.operation).await?;
    Ok(Json(changed))
}
