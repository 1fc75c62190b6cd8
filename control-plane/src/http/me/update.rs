use crate::app::account::{self, UserUpdate, UserView};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, ValidJson};
use axum::Json;
use axum::extract::State;

/// Change what I am called
///
/// For a person who is logged in; a token may not.
#[utoipa::path(
    patch,
    path = "/v1/me",
    tag = "me",
    operation_id = "me_update",
    request_body = UserUpdate,
    responses((status = 200, description = "As it is now.", body = UserView)),
    extensions(("x-action" = json!("self"))),
)]
pub(super) async fn me_update(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    ValidJson(input): ValidJson<UserUpdate>,
) -> Result<Json<UserView>, AppError> {
    account::user_update(&platform, &caller, input)
        .await
        .map(Json)
}
