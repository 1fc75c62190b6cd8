//! What every call of the product needs.

use crate::clock::Clock;
use crate::store::Store;

/// The control plane's parts, made once a process and cloned into each request.
#[derive(Debug, Clone)]
pub struct Platform {
    pub store: Store,
    pub clock: Clock,
    pub links: Links,
}

/// Addresses that the product writes into mails and answers.
#[derive(Debug, Clone)]
pub struct Links {
    /// Of the console, without a slash at the end, such as `http://127.0.0.1:8400`.
    pub console_url: String,
}
