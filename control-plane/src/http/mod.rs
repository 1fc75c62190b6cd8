//! The HTTP API: one endpoint a file; parse, call `app`, convert. No SQL and no decision.
//!
//! Invariants:
//! - Every route is in the OpenAPI document, which is made from the handlers; the console and every
//!   other client use nothing that is not in it.
//! - Every error is a problem document of a closed list of types; no internal text leaves.
//! - A type read from a request refuses fields that it does not know.
//!
//! It must not know tables, processes or mails.

pub mod audit;
pub mod auth;
pub mod backups;
pub mod billing;
pub mod catalog;
pub mod databases;
mod document;
pub mod extract;
pub mod health;
mod hold;
pub mod imports;
pub mod limits;
pub mod logical_databases;
pub mod me;
mod metrics;
mod middleware;
pub mod operations;
pub mod organizations;
pub mod outbox;
pub mod problem;
pub mod projects;
mod rate_limit;
pub mod restores;
pub mod roles;
mod serve;
pub mod sql;
mod state;
pub mod stripe;
mod table;
pub mod tagged;
pub mod tokens;
pub mod usage;

pub use serve::serve;
pub use state::ApiState;

use crate::app::{AppError, ProblemType};
use axum::Router;
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;

/// Largest body of a request, bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Every noun's routes. A new noun is a line here.
fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(document::base())
        .merge(auth::router())
        .merge(me::router())
        .merge(limits::router())
        .merge(organizations::router())
        .merge(projects::router())
        .merge(tokens::router())
        .merge(audit::router())
        .merge(databases::router())
        .merge(backups::router())
        .merge(restores::router())
        .merge(imports::router())
        .merge(roles::router())
        .merge(logical_databases::router())
        .merge(operations::router())
        .merge(usage::router())
        .merge(billing::router())
        .merge(stripe::router())
        .merge(sql::router())
        .merge(catalog::router())
        .merge(health::router())
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    document::finish(routes().into_openapi())
}

/// The API alone: every other path is a 404.
pub fn router(state: &ApiState) -> Router {
    assemble(state, Router::new().fallback(not_found))
}

/// The API, with everything outside of it answered by the console.
pub fn router_with_console(state: &ApiState, console: Router) -> Router {
    assemble(state, console)
}

fn assemble(state: &ApiState, rest: Router) -> Router {
    let (api, _) = routes().split_for_parts();
    let router = api
        .route("/openapi.json", axum::routing::get(document::get))
        .merge(outbox::router(state))
        .route("/v1", any(not_found))
        .route("/v1/{*rest}", any(not_found))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback_service(rest)
        .with_state(state.clone());
    middleware::wrap(router, state)
}

async fn not_found() -> AppError {
    AppError::rejected(ProblemType::NotFound, "There is nothing at this path.")
}

async fn method_not_allowed() -> AppError {
    AppError::rejected(
        ProblemType::MethodNotAllowed,
        "This path is there, but not for this method.",
    )
}
