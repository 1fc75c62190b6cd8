//! The SQL editor.

mod cancel;
mod query;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(query::sql_query))
        .routes(routes!(cancel::sql_cancel))
}
