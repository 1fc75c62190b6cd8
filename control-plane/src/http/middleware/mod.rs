//! What happens to every request, outermost first: it gets a name and is logged; a panic becomes an
//! answer; headers that protect browsers are set; its address is found; a cross-site request and a
//! caller of too many are refused; its time is limited; an idempotency key is tied to its body.

mod cross_site;
mod headers;
mod idempotency;
mod observe;
mod quota;
mod time_limit;

use crate::app::{AppError, ProblemType};
use crate::http::state::ApiState;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::any::Any;
use tower_http::catch_panic::CatchPanicLayer;

/// Wraps the router; called once, after every route is there.
pub(super) fn wrap(router: Router, state: &ApiState) -> Router {
    router
        .layer(from_fn(idempotency::tie_key))
        .layer(from_fn(time_limit::limit))
        .layer(from_fn_with_state(state.clone(), quota::limit))
        .layer(from_fn_with_state(state.clone(), cross_site::refuse))
        .layer(from_fn_with_state(state.clone(), headers::client_address))
        .layer(from_fn(headers::protect))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(state.clone(), observe::observe))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the layer asks for"
)]
fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it gave no text");
    tracing::error!(panic = text, "a handler panicked");
    AppError::rejected(
        ProblemType::Internal,
        "It is logged, and we will look into it.",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_answered_without_its_text() {
        for panic in [
            Box::new("secret".to_owned()) as Box<dyn Any + Send>,
            Box::new("secret"),
            Box::new(7_u8),
        ] {
            let response = answer_panic(panic);
            assert_eq!(response.status(), 500);
            let body = format!("{:?}", response.body());
            assert!(!body.contains("secret"));
        }
    }
}
