use crate::app::role::{self, RoleDeleted};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, Prefer};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::{DatabaseId, RoleId};

/// Delete a role
///
/// What it owns goes to the owner. The owner itself cannot be deleted.
#[utoipa::path(
    delete,
    path = "/v1/databases/{database_id}/roles/{role_id}",
    tag = "roles",
    operation_id = "role_delete",
    params(("database_id" = DatabaseId, Path), ("role_id" = RoleId, Path), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    responses((status = 200, description = "It is being deleted.", body = RoleDeleted)),
    extensions(("x-action" = json!("role_write"))),
)]
pub(super) async fn role_delete(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(ids): PathId<(DatabaseId, RoleId)>,
    prefer: Prefer,
) -> Result<Json<RoleDeleted>, AppError> {
    let mut deleted = role::role_delete(&platform, &caller, ids).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.operation(&mut deleted.operation).await?;
    Ok(Json(deleted))
}
