use crate::app::usage::{self, OrganizationUsage, OrganizationUsageQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Get the usage of an organization
///
/// By hour, day or month; all of it, by project or by database; in exact quantities.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/usage",
    tag = "usage",
    operation_id = "organization_usage_get",
    params(("organization_id" = OrganizationId, Path), OrganizationUsageQuery),
    responses((status = 200, description = "Usage.", body = OrganizationUsage)),
    extensions(("x-action" = json!("usage_read"))),
)]
pub(super) async fn organization_usage_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    ValidQuery(query): ValidQuery<OrganizationUsageQuery>,
) -> Result<Json<OrganizationUsage>, AppError> {
    usage::organization_usage_get(&platform, &caller, id, query)
        .await
        .map(Json)
}
