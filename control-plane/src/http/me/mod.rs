//! The caller itself, and its sessions.

mod get;
mod password_change;
mod session_delete;
mod session_list;
mod update;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(get::me_get, update::me_update))
        .routes(routes!(password_change::password_change))
        .routes(routes!(session_list::session_list))
        .routes(routes!(session_delete::session_delete))
}
