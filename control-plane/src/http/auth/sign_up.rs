use crate::app::account::{self, SignUp, Visitor};
use crate::app::{AppError, Platform};
use crate::http::auth::respond::Accepted;
use crate::http::extract::ValidJson;
use axum::Json;
use axum::extract::State;
use http::StatusCode;

/// Sign up
///
/// Makes an account with an organization and a project, and mails a link that proves the address.
/// Known and unknown addresses are answered alike.
#[utoipa::path(
    post,
    path = "/v1/auth/sign-up",
    tag = "auth",
    operation_id = "sign_up",
    request_body = SignUp,
    responses((status = 202, description = "A mail is on its way.", body = Accepted)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn sign_up(
    State(platform): State<Platform>,
    visitor: Visitor,
    ValidJson(input): ValidJson<SignUp>,
) -> Result<(StatusCode, Json<Accepted>), AppError> {
    account::sign_up(&platform, &visitor, input).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted {})))
}
