//! What the product does: one module a noun, each authorizes, validates and decides.
//!
//! A function here takes the [`Platform`], the [`Caller`] and checked values; it opens one scoped
//! transaction, and what it writes there is the whole change: state, operation, audit event,
//! idempotency record and outbox rows commit together or not at all. It knows nothing of HTTP.

pub mod account;
pub mod archive;
pub mod audit;
pub mod authorize;
pub mod billing;
mod caller;
pub mod catalog;
pub mod change;
pub mod database;
mod error;
pub mod housekeeping;
pub mod import;
pub mod limits;
pub mod logical_database;
pub mod me;
pub mod operation;
pub mod organization;
mod platform;
pub mod project;
pub mod role;
pub mod sql;
pub mod state;
pub mod token;
pub mod usage;
pub mod validate;

pub use caller::{Action, Actor, Caller, Member, OrganizationRole};
pub use error::{AppError, FieldError, ProblemType};
pub use platform::{Keys, Limits, Links, Platform, PlatformError, Settings};
