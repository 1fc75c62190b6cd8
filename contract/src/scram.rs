//! SCRAM-SHA-256 verifiers (RFC 5803, as PostgreSQL writes them).

use crate::secret::Secret;
use serde::{Deserialize, Serialize};

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
