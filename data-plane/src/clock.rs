//! The one place of this crate that reads the wall clock.

use rand::RngExt;
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// The time, UTC. Whoever decides something by the time takes it as a parameter; this is called
/// where a process is wired together.
#[expect(
    clippy::disallowed_methods,
    reason = "everything else takes the time from here"
)]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A UUIDv7 of the moment `now`.
pub fn uuid_v7(now: OffsetDateTime) -> Uuid {
    let millis = u64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &rand::rng().random()).into_uuid()
}
