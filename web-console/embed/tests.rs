use super::*;
use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// A console of three files, one of them compressed.
#[derive(RustEmbed)]
#[folder = "embed/fixture/"]
struct Fixture;

/// A checkout where the console was never built.
#[derive(RustEmbed)]
#[folder = "embed/never-there/"]
#[allow_missing = true]
struct Nothing;

const SCRIPT: &str = "/assets/app-1a2b3c4d.js";

async fn ask(
    router: Router,
    method: Method,
    path: &str,
    headers: &[(HeaderName, &str)],
) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    router.oneshot(request).await.expect("an answer")
}

async fn get(path: &str, headers: &[(HeaderName, &str)]) -> Response {
    ask(routes::<Fixture>(), Method::GET, path, headers).await
}

async fn body(response: Response) -> String {
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn header(response: &Response, name: &HeaderName) -> String {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().expect("text").to_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn hashed_files_are_kept_for_a_year_and_the_page_is_asked_for_each_time() {
    let script = get(SCRIPT, &[]).await;
    assert_eq!(
        header(&script, &CACHE_CONTROL),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        header(&script, &CONTENT_TYPE),
        "text/javascript; charset=utf-8"
    );
    for path in ["/", "/index.html", "/favicon.svg"] {
        let page = get(path, &[]).await;
        assert_eq!(header(&page, &CACHE_CONTROL), "no-cache", "{path}");
        assert!(!header(&page, &ETAG).is_empty(), "{path}");
    }
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again() {
    let tag = header(&get("/", &[]).await, &ETAG);
    for given in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        "*".into(),
    ] {
        let again = get("/", &[(IF_NONE_MATCH, &given)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{given}");
        assert_eq!(header(&again, &ETAG), tag);
        assert_eq!(body(again).await, "");
    }
    let other = get("/", &[(IF_NONE_MATCH, "\"other\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_prepared_variant_is_chosen_by_what_the_client_takes() {
    for (accepts, coding, text) in [
        ("gzip, br", "br", "brotli"),
        ("gzip", "gzip", "gzip"),
        ("br;q=0, gzip", "gzip", "gzip"),
        ("identity", "", "export const answer = 42;\n"),
    ] {
        let script = get(SCRIPT, &[(ACCEPT_ENCODING, accepts)]).await;
        assert_eq!(header(&script, &CONTENT_ENCODING), coding, "{accepts}");
        assert_eq!(header(&script, &CONTENT_LENGTH), text.len().to_string());
        assert_eq!(header(&script, &http::header::VARY), "accept-encoding");
        assert_eq!(body(script).await, text);
    }
    let plain = header(&get(SCRIPT, &[]).await, &ETAG);
    let brotli = header(&get(SCRIPT, &[(ACCEPT_ENCODING, "br")]).await, &ETAG);
    assert_ne!(plain, brotli, "each variant has a tag of its own");
}

#[tokio::test]
async fn paths_of_the_application_get_its_page_and_missing_files_get_404() {
    for path in [
        "/databases",
        "/databases/db_01jd/roles",
        "/verify?token=a.b",
    ] {
        let page = get(path, &[]).await;
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert!(body(page).await.contains("fixture"));
    }
    for path in [
        "/assets/gone-99999999.js",
        "/assets/gone",
        "/robots.txt",
        "/v1",
        "/v1/databases",
        "/health/other",
        "/../Cargo.toml",
    ] {
        assert_eq!(
            get(path, &[]).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_answer_forbids_inline_scripts_framing_and_guessed_types() {
    for path in ["/", SCRIPT, "/v1/none", "/databases"] {
        let response = get(path, &[]).await;
        let policy = header(&response, &CONTENT_SECURITY_POLICY);
        assert!(policy.contains("script-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("default-src 'none'"));
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(header(&response, &X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(&response, &REFERRER_POLICY), "no-referrer");
    }
}

#[tokio::test]
async fn only_reading_is_answered() {
    let posted = ask(routes::<Fixture>(), Method::POST, "/databases", &[]).await;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    let head = ask(routes::<Fixture>(), Method::HEAD, SCRIPT, &[]).await;
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(header(&head, &CONTENT_LENGTH), "26");
    assert_eq!(body(head).await, "");
}

#[tokio::test]
async fn without_a_built_console_the_page_says_how_to_build_it() {
    let page = ask(routes::<Nothing>(), Method::GET, "/", &[]).await;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(body(page).await.contains("npm run build"));
}

#[tokio::test]
async fn routes_of_the_api_win_over_the_console() {
    let api = Router::new().route("/v1/me", axum::routing::get(|| async { "me" }));
    let both = api.merge(routes::<Fixture>());
    let me = ask(both.clone(), Method::GET, "/v1/me", &[]).await;
    assert_eq!(body(me).await, "me");
    let page = ask(both, Method::GET, "/databases", &[]).await;
    assert!(body(page).await.contains("fixture"));
}
