use crate::app::billing::{self, BillingClock, BillingClockAdvance};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, ValidJson};
use axum::Json;
use axum::extract::State;

/// Move billing's time ahead
///
/// For developers, where `billing.clock_moves` is on: to see a month end without waiting for it.
/// What is counted from then on is counted in that time. There is no way back.
#[utoipa::path(
    post,
    path = "/v1/billing-clock",
    tag = "billing",
    operation_id = "billing_clock_advance",
    request_body = BillingClockAdvance,
    responses((status = 200, description = "As it is now.", body = BillingClock)),
    extensions(("x-action" = json!("self"))),
)]
pub(super) async fn billing_clock_advance(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    ValidJson(input): ValidJson<BillingClockAdvance>,
) -> Result<Json<BillingClock>, AppError> {
    billing::clock_advance(&platform, &caller, input)
        .await
        .map(Json)
}
