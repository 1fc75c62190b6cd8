//! Cards and pages at Stripe, and what Stripe pushes.

mod card_get;
mod card_page;
mod portal_page;
mod webhook;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(card_get::card_get))
        .routes(routes!(card_page::card_page_create))
        .routes(routes!(portal_page::portal_page_create))
        .routes(routes!(webhook::stripe_webhook))
}
