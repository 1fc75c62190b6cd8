use crate::app::role::{self, Role};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// List roles
///
/// All of them: they are few.
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}/roles",
    tag = "roles",
    operation_id = "role_list",
    params(("database_id" = DatabaseId, Path)),
    responses((status = 200, description = "The roles, oldest first.", body = Page<Role>)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn role_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
) -> Result<Json<Page<Role>>, AppError> {
    let items = role::role_list(&platform, &caller, id).await?;
    Ok(Json(Page::whole(items)))
}
