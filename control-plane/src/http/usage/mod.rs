//! Usage and live figures.

mod export;
mod metrics;
mod organization;
mod samples;
#[expect(
    clippy::module_inception,
    reason = "the endpoint is called as its noun is"
)]
mod usage;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(usage::usage_get))
        .routes(routes!(export::usage_export))
        .routes(routes!(metrics::metrics_get))
        .routes(routes!(organization::organization_usage_get))
        .routes(routes!(samples::usage_samples_get))
}
