//! Logical databases: databases inside a database.

mod create;
mod delete;
mod list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(
            list::logical_database_list,
            create::logical_database_create
        ))
        .routes(routes!(delete::logical_database_delete))
}
