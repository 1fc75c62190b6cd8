//! The web console inside the binary.
//!
//! The console is a single-page application that `npm run build` writes to `dist/`; this crate
//! embeds that folder and serves it, so that an installation needs no second web server and the
//! console always fits the API beside it.
//!
//! Invariants:
//! - Files under `assets/` carry a hash of their content in their name and never change: browsers
//!   keep them for a year. Everything else is asked for again each time (`ETag` makes that cheap).
//! - A path of the application without a file of its own gets `index.html`: the application's
//!   router knows what it is. A path that looks like a file, or belongs to the API, gets 404.
//! - Every answer carries the security headers of [`headers`].
//! - Built without `dist/`, the crate still compiles and says how to build the console.
//!
//! Must not know: the API, sessions, configuration.

mod assets;
mod encoding;
mod headers;

use axum::Router;
use axum::routing::any;
use rust_embed::RustEmbed;

/// What `npm run build` made.
#[derive(Debug, RustEmbed)]
#[folder = "dist/"]
#[allow_missing = true]
struct Dist;

/// Serves the console for `/` and every path below it that has no route of its own.
///
/// Merge it with the API's router, or give it as that router's fallback; routes of the API that
/// are written out always win over it.
pub fn router() -> Router {
    routes::<Dist>()
}

/// Whether the console itself is in this binary, or only the page that says how to build it.
pub fn is_built() -> bool {
    Dist::get(assets::INDEX).is_some()
}

fn routes<Files: RustEmbed + 'static>() -> Router {
    Router::new()
        .route("/", any(assets::serve::<Files>))
        .route("/{*path}", any(assets::serve::<Files>))
}

#[cfg(test)]
mod tests;
