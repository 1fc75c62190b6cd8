use crate::app::token::{self, ApiTokenCreate, ApiTokenCreated};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, ValidJson};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::OrganizationId;

/// Create an API token
///
/// Its secret is in this answer alone. Only a person who is logged in can make one.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization_id}/tokens",
    tag = "tokens",
    operation_id = "token_create",
    params(("organization_id" = OrganizationId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    request_body = ApiTokenCreate,
    responses((status = 201, description = "Created.", body = ApiTokenCreated)),
    extensions(("x-action" = json!("token_write"))),
)]
pub(super) async fn token_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    IdempotencyKey(request): IdempotencyKey,
    ValidJson(input): ValidJson<ApiTokenCreate>,
) -> Result<(StatusCode, Json<ApiTokenCreated>), AppError> {
    let made = token::token_create(&platform, &caller, id, request.as_ref(), input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
