use crate::app::billing::{self, BillingAccount};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Get what an organization pays as
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/billing",
    tag = "billing",
    operation_id = "billing_get",
    params(("organization_id" = OrganizationId, Path)),
    responses((status = 200, description = "What it pays as.", body = BillingAccount, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn billing_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
) -> Result<Tagged<BillingAccount>, AppError> {
    let found = billing::billing_get(&platform, &caller, id).await?;
    Ok(Tagged(found.revision, found))
}
