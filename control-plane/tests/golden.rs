//! Promises: lists that change on purpose only. `LUMADB_GOLDEN=write` writes them anew.

use lumadb_control_plane::app::ProblemType;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn compare(path: &Path, made: &str) {
    if std::env::var_os("LUMADB_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(path, made).expect("written");
    }
    let promised = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        promised == made,
        "{} is not what the code says. If the change is meant, run the tests with \
         LUMADB_GOLDEN=write and commit it.\n\n{made}",
        path.display()
    );
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every route: method, path, what the caller must be allowed to do.
pub(crate) fn routes() -> Vec<(String, String, String)> {
    let document = serde_json::to_value(lumadb_control_plane::http::openapi()).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let action = operation["x-action"].as_str().unwrap_or("");
            assert!(!action.is_empty(), "{method} {path} names no x-action");
            let public = operation["security"] == serde_json::json!([{}]);
            assert_eq!(public, action == "public", "{method} {path}");
            routes.push((method.to_uppercase(), path.clone(), action.to_owned()));
        }
    }
    routes.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
    routes
}

#[test]
fn routes_and_what_they_ask_of_their_caller_are_as_promised() {
    let mut made = String::new();
    for (method, path, action) in routes() {
        let _ = writeln!(made, "{method:<6} {path:<72} {action}");
    }
    compare(&here("tests/golden/routes.txt"), &made);
}

#[test]
fn the_types_of_problems_are_as_promised() {
    let mut made = String::new();
    for kind in ProblemType::ALL {
        let (slug, status, title) = kind.describe();
        let _ = writeln!(made, "{status} /problems/{slug:<24} {title}");
    }
    compare(&here("tests/golden/problems.txt"), &made);
}

#[test]
fn the_document_of_the_api_is_as_committed() {
    let document = lumadb_control_plane::http::openapi();
    let mut made = document.to_pretty_json().expect("JSON");
    made.push('\n');
    compare(&here("openapi.json"), &made);
}
