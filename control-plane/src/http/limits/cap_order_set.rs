use crate::app::limits::{self, SpendCapOrder, SpendCapStages};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidJson};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Set which databases fall asleep first for the spend cap
///
/// Those that are not named come after, the newest first.
#[utoipa::path(
    put,
    path = "/v1/organizations/{organization_id}/spend-cap-order",
    tag = "limits",
    operation_id = "spend_cap_order_set",
    params(("organization_id" = OrganizationId, Path)),
    request_body = SpendCapOrder,
    responses((status = 200, description = "All databases in that order, and how far each is degraded.", body = SpendCapStages)),
    extensions(("x-action" = json!("billing_write"))),
)]
pub(super) async fn spend_cap_order_set(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    ValidJson(input): ValidJson<SpendCapOrder>,
) -> Result<Json<SpendCapStages>, AppError> {
    Ok(Json(
        limits::cap_order_set(&platform, &caller, id, input).await?,
    ))
}
