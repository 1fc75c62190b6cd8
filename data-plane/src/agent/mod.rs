//! The node: supervises one instance for its parent.

mod state;

pub use state::{Admission, NodeState, Refusal, Serving, Sessions};
