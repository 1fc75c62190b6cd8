use crate::app::account::{self, PasswordChange};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, ValidJson, set_session_cookie};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

/// Change my password
///
/// For a person who is logged in; a token may not. Every other session of the person ends, and this
/// one goes on under a new cookie. API tokens stay.
#[utoipa::path(
    post,
    path = "/v1/me/password",
    tag = "me",
    operation_id = "password_change",
    request_body = PasswordChange,
    responses((status = 204, description = "Changed.")),
    extensions(("x-action" = json!("self"))),
)]
pub(super) async fn password_change(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    ValidJson(input): ValidJson<PasswordChange>,
) -> Result<Response, AppError> {
    let secret = account::password_change(&platform, &caller, input).await?;
    let answer = StatusCode::NO_CONTENT.into_response();
    set_session_cookie(answer, Some(&secret), &platform.links)
}
