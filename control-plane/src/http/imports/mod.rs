//! Imports into databases: one endpoint a file.

mod cancel;
mod complete;
mod create;
mod get;
mod list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list::import_list, create::import_create))
        .routes(routes!(get::import_get))
        .routes(routes!(cancel::import_cancel))
        .routes(routes!(complete::import_complete))
}
