use crate::app::account::{self, Visitor};
use crate::app::{AppError, Platform};
use crate::http::auth::respond;
use axum::extract::State;
use axum::response::Response;

/// Log out
///
/// Ends the session that the cookie names, if it does.
#[utoipa::path(
    post,
    path = "/v1/auth/log-out",
    tag = "auth",
    operation_id = "log_out",
    responses((status = 204, description = "Logged out.")),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn log_out(
    State(platform): State<Platform>,
    visitor: Visitor,
) -> Result<Response, AppError> {
    account::log_out(&platform, visitor.earlier_session.as_ref()).await?;
    respond::logged_out(&platform.links)
}
