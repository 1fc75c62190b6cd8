use crate::app::token;
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::{ApiTokenId, OrganizationId};

/// Delete an API token
///
/// It stops working at once.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization_id}/tokens/{token_id}",
    tag = "tokens",
    operation_id = "token_delete",
    params(("organization_id" = OrganizationId, Path), ("token_id" = ApiTokenId, Path)),
    responses((status = 204, description = "Deleted.")),
    extensions(("x-action" = json!("token_write"))),
)]
pub(super) async fn token_delete(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId((organization, id)): PathId<(OrganizationId, ApiTokenId)>,
) -> Result<StatusCode, AppError> {
    token::token_delete(&platform, &caller, organization, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
