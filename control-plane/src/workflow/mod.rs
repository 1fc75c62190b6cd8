//! Desired state, applied again and again.
