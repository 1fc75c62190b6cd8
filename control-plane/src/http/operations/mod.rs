//! Operations: changes that take time.

mod cancel;
mod events;
mod get;
mod list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list::operation_list))
        .routes(routes!(get::operation_get))
        .routes(routes!(cancel::operation_cancel))
        .routes(routes!(events::operation_events))
}
