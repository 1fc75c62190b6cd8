//! What the product does: one module a noun, each authorizes, validates and decides.
//!
//! A function here takes the [`Platform`], the [`Caller`] and checked values; it opens one scoped
//! transaction, and what it writes there is the whole change: state, operation, audit event,
//! idempotency record and outbox rows commit together or not at all. It knows nothing of HTTP.

mod caller;
mod error;
mod platform;

pub use caller::{Action, Actor, Caller, Member, OrganizationRole};
pub use error::{AppError, FieldError, ProblemType};
pub use platform::{Links, Platform};
