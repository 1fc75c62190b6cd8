use crate::app::billing::{self, BillingClock};
use crate::app::{AppError, Platform};
use crate::http::extract::Authenticated;
use axum::Json;
use axum::extract::State;

/// Get billing's time
#[utoipa::path(
    get,
    path = "/v1/billing-clock",
    tag = "billing",
    operation_id = "billing_clock_get",
    responses((status = 200, description = "What time it is for billing.", body = BillingClock)),
    extensions(("x-action" = json!("self"))),
)]
pub(super) async fn billing_clock_get(
    State(platform): State<Platform>,
    _caller: Authenticated,
) -> Result<Json<BillingClock>, AppError> {
    billing::clock_get(&platform).await.map(Json)
}
