//! Requests that another site makes a browser send.
//!
//! Browsers say where a request comes from (`Sec-Fetch-Site`, else `Origin`). One that changes
//! something must come from the console's own pages when it could be a browser's: when it carries
//! the console's cookie, or one of these headers. Programs that send neither are let through.

use crate::app::{AppError, Links, ProblemType};
use crate::http::extract::session_secret;
use crate::http::state::ApiState;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Method};

pub(super) async fn refuse(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Result<Response, AppError> {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if safe || is_same_origin(request.headers(), &state.platform.links) {
        return Ok(next.run(request).await);
    }
    Err(AppError::rejected(
        ProblemType::Forbidden,
        "This request does not come from the console. A program sends \
         `Authorization: Bearer luma_pat_…`, or the header `Origin` of the console beside its \
         cookie.",
    ))
}

fn is_same_origin(headers: &HeaderMap, links: &Links) -> bool {
    // A browser adds this header on its own to no request; the cookie is not looked at beside it.
    if headers.contains_key(AUTHORIZATION) {
        return true;
    }
    let text = |name: &http::HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or(""));
    if let Some(site) = headers.get("sec-fetch-site") {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    match text(&ORIGIN) {
        Some(origin) => {
            let host = text(&HOST).unwrap_or("");
            origin == links.console_url
                || (!host.is_empty()
                    && (origin.strip_prefix("https://") == Some(host)
                        || origin.strip_prefix("http://") == Some(host)))
        }
        None => session_secret(headers, links).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn only_the_consoles_own_pages_and_programs_may_change_something() {
        let links = Links {
            console_url: "http://127.0.0.1:8400".into(),
        };
        let allowed = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            is_same_origin(&headers.collect(), &links)
        };
        let cookie = ("cookie", "lumadb_session=abc");
        let host = ("host", "127.0.0.1:8400");
        assert!(allowed(&[]));
        assert!(allowed(&[cookie, ("sec-fetch-site", "same-origin")]));
        assert!(allowed(&[cookie, ("origin", "http://127.0.0.1:8400")]));
        assert!(allowed(&[
            cookie,
            host,
            ("origin", "http://127.0.0.1:8400")
        ]));
        assert!(allowed(&[
            ("authorization", "Bearer x"),
            ("origin", "https://evil.example")
        ]));
        assert!(!allowed(&[cookie]));
        assert!(!allowed(&[("sec-fetch-site", "cross-site")]));
        assert!(!allowed(&[cookie, ("sec-fetch-site", "same-site")]));
        assert!(!allowed(&[("origin", "https://evil.example")]));
        assert!(!allowed(&[host, ("origin", "http://127.0.0.1:8401")]));
        assert!(!allowed(&[cookie, ("origin", "null")]));
    }
}
