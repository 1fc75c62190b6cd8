use crate::app::billing::{self, BillingAccount, BillingUpdate};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IfMatch, PathId, ValidJson};
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Change what an organization pays as
///
/// Name and address on invoices, where they are sent, the spend cap and budgets.
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organization_id}/billing",
    tag = "billing",
    operation_id = "billing_update",
    params(("organization_id" = OrganizationId, Path), ("If-Match" = Option<String>, Header, description = "The ETag of what you mean to change.")),
    request_body = BillingUpdate,
    responses((status = 200, description = "As it is now.", body = BillingAccount, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("billing_write"))),
)]
pub(super) async fn billing_update(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    if_match: IfMatch,
    ValidJson(input): ValidJson<BillingUpdate>,
) -> Result<Tagged<BillingAccount>, AppError> {
    let check = |revision| if_match.check(revision);
    let changed = billing::billing_update(&platform, &caller, id, check, input).await?;
    Ok(Tagged(changed.revision, changed))
}
