//! Answers that log a browser in or out.

use crate::app::account::{LoggedIn, UserView};
use crate::app::{AppError, Links};
use crate::http::extract::set_session_cookie;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// A person who is logged in now; the session is in the answer's cookie.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoggedInBody {
    pub user: UserView,
}

/// Nothing more is said.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {}

pub(super) fn logged_in(logged_in: LoggedIn, links: &Links) -> Result<Response, AppError> {
    let body = Json(LoggedInBody {
        user: logged_in.user,
    });
    set_session_cookie(body.into_response(), Some(&logged_in.session_secret), links)
}

pub(super) fn logged_out(links: &Links) -> Result<Response, AppError> {
    set_session_cookie(StatusCode::NO_CONTENT.into_response(), None, links)
}
