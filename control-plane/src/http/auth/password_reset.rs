use crate::app::account::{self, PasswordReset, Visitor};
use crate::app::{AppError, Platform};
use crate::http::auth::respond::Accepted;
use crate::http::extract::ValidJson;
use axum::Json;
use axum::extract::State;
use http::StatusCode;

/// Ask for a new password
///
/// Mails a link, if the address has an account; the answer does not tell.
#[utoipa::path(
    post,
    path = "/v1/auth/password-reset",
    tag = "auth",
    operation_id = "password_reset",
    request_body = PasswordReset,
    responses((status = 202, description = "If there is such an account, a mail is on its way.", body = Accepted)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn password_reset(
    State(platform): State<Platform>,
    visitor: Visitor,
    ValidJson(input): ValidJson<PasswordReset>,
) -> Result<(StatusCode, Json<Accepted>), AppError> {
    account::password_reset(&platform, &visitor, input).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted {})))
}
