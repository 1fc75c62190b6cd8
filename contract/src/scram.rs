//! SCRAM-SHA-256 verifiers (RFC 5803, as PostgreSQL writes them).

use crate::secret::Secret;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// PostgreSQL's own default. Our passwords are random: more rounds would cost every log-in and
/// protect nothing.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// Length of the salt, bytes, as PostgreSQL makes it.
pub const SALT_BYTES: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a verifier of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")]
pub struct InvalidVerifier;

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, salt and keys in base64: what
/// PostgreSQL keeps in `pg_authid.rolpassword`. Enough to check a password, not enough to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScramVerifier(Secret);

/// The fields of a verifier, still in base64.
#[derive(Debug, Clone, Copy)]
pub struct VerifierFields<'a> {
    pub iterations: u32,
    pub salt: &'a str,
    pub stored_key: &'a str,
    pub server_key: &'a str,
}

impl ScramVerifier {
    pub fn parse(text: &str) -> Result<Self, InvalidVerifier> {
        split(text).map(|_| Self(Secret::new(text)))
    }

    /// The verifier of a password (RFC 5802, section 3). The password is taken as its bytes: it must
    /// be ASCII, for which SASLprep changes nothing.
    pub fn of_password(
        password: &Secret,
        salt: &[u8; SALT_BYTES],
    ) -> Result<Self, InvalidVerifier> {
        let mut salted = [0_u8; digest::SHA256_OUTPUT_LEN];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS,
            salt,
            password.expose().as_bytes(),
            &mut salted,
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        Self::parse(&format!(
            "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
            STANDARD.encode(salt),
            STANDARD.encode(stored_key),
            STANDARD.encode(server_key)
        ))
    }

    /// The text that `ALTER ROLE … PASSWORD` takes.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    pub fn fields(&self) -> Result<VerifierFields<'_>, InvalidVerifier> {
        split(self.0.expose())
    }
}

fn split(text: &str) -> Result<VerifierFields<'_>, InvalidVerifier> {
    let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(InvalidVerifier)?;
    let (left, right) = rest.split_once('$').ok_or(InvalidVerifier)?;
    let (iterations, salt) = left.split_once(':').ok_or(InvalidVerifier)?;
    let (stored_key, server_key) = right.split_once(':').ok_or(InvalidVerifier)?;
    let is_base64 = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
    };
    if !is_base64(salt) || !is_base64(stored_key) || !is_base64(server_key) {
        return Err(InvalidVerifier);
    }
    let iterations = iterations.parse().map_err(|_| InvalidVerifier)?;
    Ok(VerifierFields {
        iterations,
        salt,
        stored_key,
        server_key,
    })
}

impl TryFrom<String> for ScramVerifier {
    type Error = InvalidVerifier;

    fn try_from(text: String) -> Result<Self, InvalidVerifier> {
        Self::parse(&text)
    }
}

impl From<ScramVerifier> for String {
    fn from(verifier: ScramVerifier) -> Self {
        verifier.0.expose().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_the_one_of_rfc_7677() {
        // Section 3: user `user`, password `pencil`, salt W22ZaJ0SNY7soEsUEjb6gQ==, i=4096; the
        // server's signature there is made with this server key.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let salt = salt.try_into().expect("16 bytes");
        let made = ScramVerifier::of_password(&Secret::new("pencil"), &salt).expect("valid");
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

    #[test]
    fn a_verifier_is_taken_apart_and_never_printed() {
        let text = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";
        let verifier = ScramVerifier::parse(text).expect("valid");
        assert_eq!(verifier.fields().expect("valid").iterations, 4096);
        assert!(!format!("{verifier:?}").contains("c2FsdA"));
        for bad in [
            "",
            "md5abc",
            "SCRAM-SHA-256$x:c2FsdA==$a:b",
            "SCRAM-SHA-256$1:'$a:b",
        ] {
            assert_eq!(ScramVerifier::parse(bad), Err(InvalidVerifier), "{bad}");
        }
    }
}
