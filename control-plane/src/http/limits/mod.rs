//! What an organization was told of its limits, and what falls asleep first for its spend cap.

mod cap_order_get;
mod cap_order_set;
mod notice_list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(notice_list::limit_notice_list))
        .routes(routes!(
            cap_order_get::spend_cap_order_get,
            cap_order_set::spend_cap_order_set
        ))
}
