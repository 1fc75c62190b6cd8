//! From a request's path to a file, its compressed variant, and the headers that let it be kept.

use crate::encoding::{self, Coding};
use crate::headers;
use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, IF_NONE_MATCH,
};
use http::{Method, Request, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::fmt::Write as _;

/// The application's one page.
pub(crate) const INDEX: &str = "index.html";

/// Files whose names hold a hash of their content.
const HASHED_FOLDER: &str = "assets/";

/// One year, in seconds: the longest that caches honor.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// First segments of paths that the API answers. One of them that has no route is the API's
/// mistake or the caller's, and a page of HTML would only hide it.
const OF_THE_API: [&str; 4] = ["v1", "health", "metrics", "openapi.json"];

const NOT_BUILT: &str = include_str!("not-built.html");

/// Answers one request.
pub(crate) async fn serve<Files: RustEmbed>(request: Request<Body>) -> Response {
    let mut response = answer::<Files>(&request);
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    headers::add_fixed(response.headers_mut());
    response
}

fn answer<Files: RustEmbed>(request: &Request<Body>) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed\n");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let path = request.uri().path().trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if OF_THE_API.contains(&first) {
        return text(StatusCode::NOT_FOUND, "Not found\n");
    }
    if !path.is_empty() && path != INDEX {
        if let Some(file) = Files::get(path) {
            return send::<Files>(path, &file, request.headers());
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        if last.contains('.') || path.starts_with(HASHED_FOLDER) {
            return text(StatusCode::NOT_FOUND, "Not found\n");
        }
    }
    match Files::get(INDEX) {
        Some(page) => send::<Files>(INDEX, &page, request.headers()),
        None => not_built(),
    }
}

fn send<Files: RustEmbed>(path: &str, plain: &EmbeddedFile, request: &HeaderMap) -> Response {
    let accepted = request
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let variant = encoding::acceptable(accepted).find_map(|coding| {
        Files::get(&format!("{path}{}", coding.suffix())).map(|file| (coding, file))
    });
    let coding = variant.as_ref().map(|(coding, _)| *coding);
    let file = variant.as_ref().map_or(plain, |(_, file)| file);
    let tag = entity_tag(plain, coding);

    let unchanged = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| matches!(given.trim(), "*") || weak(given) == weak(&tag));
    let mut response = if unchanged {
        status(StatusCode::NOT_MODIFIED)
    } else {
        let body = match &file.data {
            std::borrow::Cow::Borrowed(data) => Bytes::from_static(data),
            std::borrow::Cow::Owned(data) => Bytes::copy_from_slice(data),
        };
        let length = body.len();
        let mut full = Response::new(Body::from(body));
        let headers = full.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if let Some(coding) = coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        }
        full
    };
    let kept = if path.starts_with(HASHED_FOLDER) {
        IMMUTABLE
    } else {
        "no-cache"
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Strong tag: the content's hash, and the coding, because each variant has bytes of its own.
fn entity_tag(plain: &EmbeddedFile, coding: Option<Coding>) -> String {
    let mut tag = String::from('"');
    for byte in &plain.metadata.sha256_hash()[..16] {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    if let Some(coding) = coding {
        tag.push('-');
        tag.push_str(coding.name());
    }
    tag.push('"');
    tag
}

/// A tag as `If-None-Match` compares it: without the mark of a weak one.
fn weak(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn not_built() -> Response {
    let mut page = text(StatusCode::SERVICE_UNAVAILABLE, NOT_BUILT);
    page.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    page
}

fn text(code: StatusCode, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn status(code: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}
