//! Passwords, tokens, keys: the cryptography of who somebody is.
//!
//! Invariants:
//! - A secret that we hand out is stored as a hash, or sealed where it must be shown again.
//! - Nothing here prints a secret, and comparisons of secrets take the same time whatever differs.
//!
//! It must not know SQL, HTTP or the product's nouns.

pub mod master_keys;
pub mod password;
pub mod random;
pub mod scram;
pub mod seal;
pub mod secret_token;
pub mod service_token;

pub use password::{PasswordError, PasswordHasher};
pub use seal::{SealError, SealKey, SealPurpose};
pub use service_token::{ServiceSigner, ServiceTokenError, ServiceVerifier};
