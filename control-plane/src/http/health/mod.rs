//! For those who watch the process.

mod live;
mod prometheus;
mod ready;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(live::health_live))
        .routes(routes!(ready::health_ready))
        .routes(routes!(prometheus::metrics))
}
