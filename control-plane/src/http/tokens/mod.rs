//! Tokens for the API.

mod create;
mod delete;
mod list;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(list::token_list, create::token_create))
        .routes(routes!(delete::token_delete))
}
