use crate::app::account::{self, VerifyEmail, Visitor};
use crate::app::{AppError, Platform};
use crate::http::auth::respond::{self, LoggedInBody};
use crate::http::extract::ValidJson;
use axum::extract::State;
use axum::response::Response;

/// Verify an address
///
/// Uses a mailed link up and logs in.
#[utoipa::path(
    post,
    path = "/v1/auth/verify-email",
    tag = "auth",
    operation_id = "verify_email",
    request_body = VerifyEmail,
    responses((status = 200, description = "Verified, and logged in.", body = LoggedInBody)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn verify_email(
    State(platform): State<Platform>,
    visitor: Visitor,
    ValidJson(input): ValidJson<VerifyEmail>,
) -> Result<Response, AppError> {
    let logged_in = account::verify_email(&platform, &visitor, input).await?;
    respond::logged_in(logged_in, &platform.links)
}
