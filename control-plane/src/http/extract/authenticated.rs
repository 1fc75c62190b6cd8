//! Who calls: a bearer token, or the console's cookie.

use crate::app::{AppError, Caller, Links, ProblemType, account};
use crate::http::state::ApiState;
use axum::extract::FromRequestParts;
use axum::response::Response;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use lumadb_contract::secret::Secret;
use std::net::IpAddr;

/// Life of the cookie in the browser, seconds: the session behind it ends earlier when it is idle.
const COOKIE_SECONDS: u64 = 90 * 24 * 3600;

/// Address of the client as far as we believe it; the middleware `client_address` puts it into the
/// request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(None)))
    }
}

/// A caller that is known. Anything else is refused with 401.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Caller);

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, AppError> {
        let address = parts.extensions.get::<ClientAddress>().and_then(|a| a.0);
        let platform = &state.platform;
        let known = if let Some(token) = bearer(&parts.headers)? {
            account::authenticate_token(platform, &token, address).await?
        } else if let Some(secret) = session_secret(&parts.headers, &platform.links) {
            account::authenticate_session(platform, &secret, address).await?
        } else {
            None
        };
        known.map(Self).ok_or_else(|| {
            AppError::rejected(
                ProblemType::Unauthenticated,
                "Log in, or send `Authorization: Bearer luma_pat_…`.",
            )
        })
    }
}

/// The token of the `Authorization` header. A header that holds no bearer token is refused: a
/// cookie beside it must not decide instead.
fn bearer(headers: &HeaderMap) -> Result<Option<Secret>, AppError> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Some(Secret::new(token.trim())))
        .ok_or_else(|| {
            AppError::rejected(
                ProblemType::Unauthenticated,
                "The Authorization header must be `Bearer luma_pat_…`.",
            )
        })
}

/// Name of the console's cookie. Browsers take the prefix `__Host-` over TLS only.
fn cookie_name(links: &Links) -> &'static str {
    if links.is_https() {
        "__Host-lumadb_session"
    } else {
        "lumadb_session"
    }
}

/// The secret in the console's cookie.
pub fn session_secret(headers: &HeaderMap, links: &Links) -> Option<Secret> {
    let name = cookie_name(links);
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| Secret::new(value))
}

/// Gives a browser its session with an answer, or takes it away.
pub fn set_session_cookie(
    mut answer: Response,
    secret: Option<&Secret>,
    links: &Links,
) -> Result<Response, AppError> {
    let cookie = session_cookie(secret, links)
        .ok_or_else(|| AppError::internal("a session secret does not fit into a header"))?;
    answer.headers_mut().append(SET_COOKIE, cookie);
    Ok(answer)
}

fn session_cookie(secret: Option<&Secret>, links: &Links) -> Option<HeaderValue> {
    let (value, seconds) = secret.map_or(("", 0), |secret| (secret.expose(), COOKIE_SECONDS));
    let secure = if links.is_https() { "; Secure" } else { "" };
    let text = format!(
        "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}",
        cookie_name(links)
    );
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_bound_to_its_host_and_hidden_from_scripts() {
        let links = |url: &str| Links {
            console_url: url.into(),
        };
        let secret = Secret::new("abc");
        let text = |url: &str| {
            let header = session_cookie(Some(&secret), &links(url)).expect("a header");
            header.to_str().expect("ASCII").to_owned()
        };
        assert_eq!(
            text("https://console.example"),
            "__Host-lumadb_session=abc; Path=/; Max-Age=7776000; HttpOnly; SameSite=Lax; Secure"
        );
        assert!(text("http://127.0.0.1:8400").starts_with("lumadb_session=abc; "));
        let headers =
            HeaderMap::from_iter([(COOKIE, HeaderValue::from_static("a=b; lumadb_session=abc"))]);
        assert_eq!(
            session_secret(&headers, &links("http://127.0.0.1:8400")),
            Some(secret)
        );
        assert_eq!(session_secret(&headers, &links("https://x")), None);
    }
}
