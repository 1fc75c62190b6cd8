//! SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), as PostgreSQL stores them.

use crate::identity::random::{self, NoRandomness};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lumadb_contract::scram::{InvalidVerifier, ScramVerifier};
use lumadb_contract::secret::Secret;
use std::num::NonZeroU32;

/// PostgreSQL's own default. Our passwords are random: more rounds would cost every log-in and
/// protect nothing.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// Length of the salt, bytes, as PostgreSQL makes it.
pub const SALT_BYTES: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum ScramError {
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error(transparent)]
    Invalid(#[from] InvalidVerifier),
}

/// The verifier of a password. The password is taken as its bytes: it must be ASCII, as those of
/// [`random::role_password`] are, for which SASLprep changes nothing.
pub fn verifier(
    password: &Secret,
    salt: &[u8],
    iterations: NonZeroU32,
) -> Result<ScramVerifier, InvalidVerifier> {
    let mut salted = [0_u8; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        salt,
        password.expose().as_bytes(),
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    ScramVerifier::parse(&format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    ))
}

/// The verifier of a password under a fresh salt.
pub fn fresh_verifier(password: &Secret) -> Result<ScramVerifier, ScramError> {
    let salt = random::bytes::<SALT_BYTES>()?;
    Ok(verifier(password, &salt, ITERATIONS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_the_one_of_rfc_7677() {
        // Section 3: user `user`, password `pencil`, salt W22ZaJ0SNY7soEsUEjb6gQ==, i=4096; the
        // server's signature there is made with this server key.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let made = verifier(&Secret::new("pencil"), &salt, ITERATIONS).expect("valid");
        let auth_message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
             r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,\
             r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let server_key = STANDARD
            .decode(made.fields().expect("fields").server_key)
            .expect("base64");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &server_key);
        let signature = hmac::sign(&key, auth_message.as_bytes());
        assert_eq!(
            STANDARD.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }
}
