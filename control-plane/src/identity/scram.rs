//! SCRAM-SHA-256 verifiers of passwords that are given out here.

use crate::identity::random::{self, NoRandomness};
use lumadb_contract::scram::{InvalidVerifier, SALT_BYTES, ScramVerifier};
use lumadb_contract::secret::Secret;

#[derive(Debug, thiserror::Error)]
pub enum ScramError {
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Invalid(#[from] InvalidVerifier),
}

/// The verifier of a password under a fresh salt. The password must be ASCII, as those of
/// [`random::role_password`] are.
pub fn fresh_verifier(password: &Secret) -> Result<ScramVerifier, ScramError> {
    let salt = random::bytes::<SALT_BYTES>()?;
    Ok(ScramVerifier::of_password(password, &salt)?)
}
