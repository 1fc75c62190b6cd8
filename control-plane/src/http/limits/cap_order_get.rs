use crate::app::limits::{self, SpendCapStages};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Get which databases fall asleep first for the spend cap
///
/// While the cap is used, also how far each of them is degraded for it.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/spend-cap-order",
    tag = "limits",
    operation_id = "spend_cap_order_get",
    params(("organization_id" = OrganizationId, Path)),
    responses((status = 200, description = "All databases in that order, and how far each is degraded.", body = SpendCapStages)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn spend_cap_order_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
) -> Result<Json<SpendCapStages>, AppError> {
    Ok(Json(limits::cap_order_get(&platform, &caller, id).await?))
}
