use crate::app::organization::{self, Organization};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Get an organization
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}",
    tag = "organizations",
    operation_id = "organization_get",
    params(("organization_id" = OrganizationId, Path)),
    responses((status = 200, description = "The organization.", body = Organization, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("organization_read"))),
)]
pub(super) async fn organization_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
) -> Result<Tagged<Organization>, AppError> {
    let found = organization::organization_get(&platform, &caller, id).await?;
    Ok(Tagged(found.revision, found))
}
