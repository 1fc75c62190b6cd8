//! The one place where the operator reads the wall clock.

use k8s_openapi::jiff::Timestamp;
use time::OffsetDateTime;

#[expect(
    clippy::disallowed_methods,
    reason = "whatever else needs the time is given it"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The same moment, as certificates have it: to the second.
pub(crate) fn utc() -> OffsetDateTime {
    let now = OffsetDateTime::from_unix_timestamp(now().as_second());
    now.unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
