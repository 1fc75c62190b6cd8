//! Projects.

mod create;
mod get;
mod list;
mod update;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list::project_list, create::project_create))
        .routes(routes!(get::project_get, update::project_update))
}
