//! What handlers take from a request. Each extractor refuses with a problem document that says what
//! is wrong; none decides anything.

mod authenticated;
mod conditions;
mod json;
mod page;
mod path;
mod query;

pub use authenticated::{Authenticated, ClientAddress, session_secret, set_session_cookie};
pub use conditions::{IdempotencyKey, IfMatch, Prefer, WAIT_SECONDS_MAX};
pub use json::{ValidJson, read_body};
pub use page::{Page, PageQuery, Pagination};
pub use path::PathId;
pub use query::ValidQuery;
