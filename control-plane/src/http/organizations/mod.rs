//! Organizations.

mod get;
mod update;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(get::organization_get, update::organization_update))
}
