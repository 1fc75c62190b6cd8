//! The one place where the operator reads the wall clock.

use k8s_openapi::jiff::Timestamp;

#[expect(
    clippy::disallowed_methods,
    reason = "whatever else needs the time is given it"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
