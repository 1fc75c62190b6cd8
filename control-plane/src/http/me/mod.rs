//! The caller itself, and its sessions.

mod get;
mod session_delete;
mod session_list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(get::me_get))
        .routes(routes!(session_list::session_list))
        .routes(routes!(session_delete::session_delete))
}
