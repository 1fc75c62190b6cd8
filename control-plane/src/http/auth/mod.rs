//! Signing up, logging in and out, passwords: the routes that need no log-in.

mod log_in;
mod log_out;
mod password_reset;
mod password_reset_confirm;
mod respond;
mod sign_up;
mod verify_email;
mod visitor;

use crate::http::ApiState;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(verify_email::verify_email))
        .routes(routes!(log_in::log_in))
        .routes(routes!(log_out::log_out))
        .routes(routes!(password_reset::password_reset))
        .routes(routes!(password_reset_confirm::password_reset_confirm))
}
