use crate::app::account::{self, LogIn, Visitor};
use crate::app::{AppError, Platform};
use crate::http::auth::respond::{self, LoggedInBody};
use crate::http::extract::ValidJson;
use axum::extract::State;
use axum::response::Response;

/// Log in
#[utoipa::path(
    post,
    path = "/v1/auth/log-in",
    tag = "auth",
    operation_id = "log_in",
    request_body = LogIn,
    responses((status = 200, description = "Logged in.", body = LoggedInBody)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn log_in(
    State(platform): State<Platform>,
    visitor: Visitor,
    ValidJson(input): ValidJson<LogIn>,
) -> Result<Response, AppError> {
    let logged_in = account::log_in(&platform, &visitor, input).await?;
    respond::logged_in(logged_in, &platform.links)
}
