use crate::app::organization::{self, Organization, OrganizationUpdate};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IfMatch, PathId, ValidJson};
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Change an organization
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organization_id}",
    tag = "organizations",
    operation_id = "organization_update",
    params(("organization_id" = OrganizationId, Path), ("If-Match" = Option<String>, Header, description = "The ETag of what you mean to change.")),
    request_body = OrganizationUpdate,
    responses((status = 200, description = "As it is now.", body = Organization, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("organization_update"))),
)]
pub(super) async fn organization_update(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    if_match: IfMatch,
    ValidJson(input): ValidJson<OrganizationUpdate>,
) -> Result<Tagged<Organization>, AppError> {
    let changed =
        organization::organization_update(&platform, &caller, id, if_match.0, input).await?;
    Ok(Tagged(changed.revision, changed))
}
