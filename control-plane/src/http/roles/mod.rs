//! Roles: logins of a database.

mod create;
mod delete;
mod list;
mod rotate_password;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list::role_list, create::role_create))
        .routes(routes!(rotate_password::role_rotate_password))
        .routes(routes!(delete::role_delete))
}
