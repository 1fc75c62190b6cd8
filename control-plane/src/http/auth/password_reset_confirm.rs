use crate::app::account::{self, PasswordResetConfirm, Visitor};
use crate::app::{AppError, Platform};
use crate::http::extract::ValidJson;
use axum::extract::State;
use http::StatusCode;

/// Set a new password
///
/// Uses a mailed link up; every session of the user ends.
#[utoipa::path(
    post,
    path = "/v1/auth/password-reset/confirm",
    tag = "auth",
    operation_id = "password_reset_confirm",
    request_body = PasswordResetConfirm,
    responses((status = 204, description = "Set.")),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn password_reset_confirm(
    State(platform): State<Platform>,
    visitor: Visitor,
    ValidJson(input): ValidJson<PasswordResetConfirm>,
) -> Result<StatusCode, AppError> {
    account::password_reset_confirm(&platform, &visitor, input).await?;
    Ok(StatusCode::NO_CONTENT)
}
