//! What runs nodes.
