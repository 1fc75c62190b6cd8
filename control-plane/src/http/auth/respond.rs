//! Answers that log a browser in or out.

use crate::app::account::{LoggedIn, UserView};
use crate::app::{AppError, Links};
use crate::http::extract::session_cookie;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use lumadb_contract::secret::Secret;
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
    with_cookie(body.into_response(), Some(&logged_in.session_secret), links)
}

pub(super) fn logged_out(links: &Links) -> Result<Response, AppError> {
    with_cookie(StatusCode::NO_CONTENT.into_response(), None, links)
}

fn with_cookie(
    mut response: Response,
    secret: Option<&Secret>,
    links: &Links,
) -> Result<Response, AppError> {
    let cookie = session_cookie(secret, links)
        .ok_or_else(|| AppError::internal("a session secret does not fit into a header"))?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}
