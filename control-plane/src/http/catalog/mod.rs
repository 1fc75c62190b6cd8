//! Regions, plans and sizes.

mod plan_list;
mod region_list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(region_list::region_list))
        .routes(routes!(plan_list::plan_list))
}
