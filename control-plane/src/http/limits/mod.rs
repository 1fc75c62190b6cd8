//! What an organization was told of its limits.

mod notice_list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default().routes(routes!(notice_list::limit_notice_list))
}
