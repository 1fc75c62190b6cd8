//! Restoring databases: one endpoint a file.

mod create;
mod point_create;
mod point_list;
mod window;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(window::restore_window_get))
        .routes(routes!(
            point_list::restore_point_list,
            point_create::restore_point_create
        ))
        .routes(routes!(create::database_restore))
}
