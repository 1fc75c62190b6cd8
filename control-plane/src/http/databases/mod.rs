//! Databases: one endpoint a file.

mod connection;
mod create;
mod delete;
mod deleted_list;
mod get;
mod list;
mod resume;
mod suspend;
mod update;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list::database_list, create::database_create))
        .routes(routes!(
            get::database_get,
            update::database_update,
            delete::database_delete
        ))
        .routes(routes!(deleted_list::deleted_database_list))
        .routes(routes!(suspend::database_suspend))
        .routes(routes!(resume::database_resume))
        .routes(routes!(connection::connection_get))
}
