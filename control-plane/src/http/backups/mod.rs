//! Backups of databases: one endpoint a file.

mod create;
mod drill_list;
mod get;
mod list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list::backup_list, create::backup_create))
        .routes(routes!(get::backup_get))
        .routes(routes!(drill_list::drill_list))
}
