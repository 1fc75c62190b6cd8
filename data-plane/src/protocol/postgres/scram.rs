//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), with channel binding to the server's
//! certificate (`tls-server-end-point`, RFC 5929).
//!
//! Pure: messages in, messages out; nonces are given. A role that does not exist goes through the
//! same dialogue with a salt that stays the same for its name, and fails where a wrong password
//! does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use lumadb_contract::name::PgName;
use lumadb_contract::scram::ScramVerifier;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;

pub const PLAIN: &str = "SCRAM-SHA-256";
pub const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Bytes of a server's nonce before base64, as PostgreSQL draws them.
pub const NONCE_BYTES: usize = 18;

/// Bytes of the salt of a role that does not exist, as PostgreSQL's own salts have.
const SALT_BYTES: usize = 16;

/// Rounds said for a role that does not exist, if no role of its database tells another number.
const ITERATIONS_DEFAULT: u32 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The client broke the dialogue's rules.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The client demands channel binding where none can be had, or thinks that we have none where
    /// we offered it: somebody may sit between.
    #[error("SCRAM channel binding does not match")]
    ChannelBinding,
    /// Wrong password, or no such role: the same to the client.
    #[error("wrong password")]
    WrongPassword,
}

/// What is checked against.
#[derive(Clone)]
pub struct Credentials {
    iterations: u32,
    salt: String,
    stored_key: [u8; 32],
    server_key: [u8; 32],
    /// A role that does not exist: nothing fits it.
    mock: bool,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Credentials(…)")
    }
}

impl Credentials {
    /// `None` for a verifier whose keys are not of this mechanism.
    pub fn of_verifier(verifier: &ScramVerifier) -> Option<Self> {
        let fields = verifier.fields().ok()?;
        let key = |text: &str| BASE64.decode(text).ok()?.try_into().ok();
        Some(Self {
            iterations: fields.iterations,
            salt: fields.salt.to_owned(),
            stored_key: key(fields.stored_key)?,
            server_key: key(fields.server_key)?,
            mock: false,
        })
    }

    /// The credentials of a role among those of its database, or some that nothing fits.
    ///
    /// The salt of a role that does not exist comes from a key that edge and node both have and
    /// that survives their restarts (of the database's first role), so it stays the same whoever
    /// is asked; a database without roles falls back to `fallback_key`.
    pub fn find(
        roles: &BTreeMap<PgName, ScramVerifier>,
        role: &str,
        fallback_key: &[u8; 32],
    ) -> Self {
        let known = role
            .parse::<PgName>()
            .ok()
            .and_then(|name| roles.get(&name))
            .and_then(Self::of_verifier);
        known.unwrap_or_else(|| {
            let first = roles.values().find_map(Self::of_verifier);
            let (key, iterations) = first.map_or((*fallback_key, ITERATIONS_DEFAULT), |first| {
                (first.server_key, first.iterations)
            });
            let salt = hmac(&key, &[b"salt of no role", role.as_bytes()]);
            Self {
                iterations,
                salt: BASE64.encode(&salt[..SALT_BYTES]),
                stored_key: hmac(&key, &[b"key of no role", role.as_bytes()]),
                server_key: salt,
                mock: true,
            }
        })
    }
}

/// What the connection offers for channel binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// No TLS, or a certificate for whose signature no hash is defined.
    None,
    /// The hash of the server's certificate.
    ServerEndPoint(Vec<u8>),
}

impl Binding {
    /// Mechanisms to offer, best first.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        match self {
            Self::None => &[PLAIN],
            Self::ServerEndPoint(_) => &[PLUS, PLAIN],
        }
    }
}

/// A dialogue between the server's first message and the client's final one.
#[derive(Debug)]
pub struct Exchange {
    credentials: Credentials,
    /// What the client must send as `c=`.
    binding: String,
    nonce: String,
    /// `client-first-message-bare,server-first-message`: the start of the AuthMessage.
    auth_message: String,
}

impl Exchange {
    /// Takes the client's first message and answers with the server's first.
    pub fn begin(
        credentials: Credentials,
        binding: &Binding,
        mechanism: &str,
        client_first: &[u8],
        server_nonce: &[u8; NONCE_BYTES],
    ) -> Result<(Self, String), ScramError> {
        let message = text(client_first)?;
        let (gs2_flag, rest) = split(message, "no channel-binding flag")?;
        let (authzid, bare) = split(rest, "no authorization identity")?;
        if !authzid.is_empty() {
            return Err(ScramError::Malformed("an authorization identity is given"));
        }
        let gs2_header = format!("{gs2_flag},,");
        let expected = expected_binding(binding, mechanism, gs2_flag, &gs2_header)?;
        // The user name is that of the start-up packet; what stands here is ignored, as
        // PostgreSQL does. Extensions come after the nonce and are ignored too.
        let (user, rest) = split(bare, "no nonce")?;
        if !user.starts_with("n=") {
            return Err(ScramError::Malformed("no user name"));
        }
        let client_nonce = rest
            .split(',')
            .next()
            .and_then(|part| part.strip_prefix("r="));
        let client_nonce = client_nonce
            .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|b| (0x21..=0x7e).contains(&b)))
            .ok_or(ScramError::Malformed("no nonce"))?;
        let nonce = format!("{client_nonce}{}", BASE64.encode(server_nonce));
        let server_first = format!(
            "r={nonce},s={},i={}",
            credentials.salt, credentials.iterations
        );
        let exchange = Self {
            auth_message: format!("{bare},{server_first}"),
            binding: expected,
            nonce,
            credentials,
        };
        Ok((exchange, server_first))
    }

    /// Takes the client's final message; answers with the server's final, which proves to the
    /// client that the server knows the password's verifier.
    pub fn finish(self, client_final: &[u8]) -> Result<String, ScramError> {
        let message = text(client_final)?;
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or(ScramError::Malformed("no proof"))?;
        let (binding, rest) = split(without_proof, "no nonce")?;
        let nonce = rest.split(',').next().unwrap_or_default();
        if nonce.strip_prefix("r=") != Some(self.nonce.as_str()) {
            return Err(ScramError::Malformed("another nonce"));
        }
        if binding.strip_prefix("c=") != Some(self.binding.as_str()) {
            return Err(ScramError::ChannelBinding);
        }
        let proof: [u8; 32] = BASE64
            .decode(proof)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(ScramError::Malformed("the proof is not a SHA-256"))?;
        let auth = [self.auth_message.as_bytes(), b",", without_proof.as_bytes()];
        let signature = hmac(&self.credentials.stored_key, &auth);
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let fits = stored_key.ct_eq(&self.credentials.stored_key);
        if self.credentials.mock || !bool::from(fits) {
            return Err(ScramError::WrongPassword);
        }
        let server_signature = hmac(&self.credentials.server_key, &auth);
        Ok(format!("v={}", BASE64.encode(server_signature)))
    }
}

/// What `c=` must hold, in base64, for the flag that the client chose.
fn expected_binding(
    binding: &Binding,
    mechanism: &str,
    gs2_flag: &str,
    gs2_header: &str,
) -> Result<String, ScramError> {
    match (mechanism, gs2_flag, binding) {
        // The client can bind and believes that we cannot, which we denied by offering it.
        (PLAIN, "y", Binding::ServerEndPoint(_)) => Err(ScramError::ChannelBinding),
        (PLAIN, "n" | "y", _) => Ok(BASE64.encode(gs2_header)),
        (PLUS, "p=tls-server-end-point", Binding::ServerEndPoint(hash)) => {
            Ok(BASE64.encode([gs2_header.as_bytes(), hash].concat()))
        }
        (PLUS, ..) => Err(ScramError::ChannelBinding),
        (PLAIN, ..) => Err(ScramError::Malformed(
            "a channel binding that was not chosen",
        )),
        _ => Err(ScramError::Malformed("a mechanism that was not offered")),
    }
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A key of any length is valid for HMAC: this cannot fail, and an all-zero key fits nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn text(bytes: &[u8]) -> Result<&str, ScramError> {
    std::str::from_utf8(bytes).map_err(|_| ScramError::Malformed("not UTF-8"))
}

fn split<'a>(message: &'a str, missing: &'static str) -> Result<(&'a str, &'a str), ScramError> {
    message
        .split_once(',')
        .ok_or(ScramError::Malformed(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    /// Verifier of the password `pencil`, made by PostgreSQL's own function of the client library.
    fn roles() -> BTreeMap<PgName, ScramVerifier> {
        let verifier = postgres_protocol::password::scram_sha_256(b"pencil");
        let verifier = ScramVerifier::parse(&verifier).expect("valid");
        BTreeMap::from([("app".parse().expect("valid"), verifier)])
    }

    fn log_in(
        role: &str,
        password: &str,
        binding: &Binding,
        client: ChannelBinding,
        mechanism: &str,
    ) -> Result<(), ScramError> {
        let credentials = Credentials::find(&roles(), role, &[7; 32]);
        let mut client = ScramSha256::new(password.as_bytes(), client);
        let nonce = [1; NONCE_BYTES];
        let (exchange, first) =
            Exchange::begin(credentials, binding, mechanism, client.message(), &nonce)?;
        client
            .update(first.as_bytes())
            .expect("valid server message");
        let last = exchange.finish(client.message())?;
        client
            .finish(last.as_bytes())
            .expect("the server proves itself");
        Ok(())
    }

    fn bound(hash: u8) -> ChannelBinding {
        ChannelBinding::tls_server_end_point(vec![hash; 32])
    }

    fn end_point() -> Binding {
        Binding::ServerEndPoint(vec![3; 32])
    }

    #[test]
    fn the_right_password_logs_in_and_the_server_proves_itself() {
        for (binding, client, mechanism) in [
            (Binding::None, ChannelBinding::unsupported(), PLAIN),
            (end_point(), ChannelBinding::unsupported(), PLAIN),
            (end_point(), bound(3), PLUS),
        ] {
            let outcome = log_in("app", "pencil", &binding, client, mechanism);
            assert_eq!(outcome, Ok(()));
        }
    }

    #[test]
    fn a_wrong_password_and_an_unknown_role_fail_alike() {
        for (role, password) in [
            ("app", "pen"),
            ("nobody", "pencil"),
            ("lumadb_admin", "x"),
            ("", ""),
        ] {
            let client = ChannelBinding::unsupported();
            let outcome = log_in(role, password, &Binding::None, client, PLAIN);
            assert_eq!(outcome, Err(ScramError::WrongPassword), "{role}");
        }
    }

    #[test]
    fn a_machine_in_the_middle_is_noticed() {
        for (binding, client, mechanism) in [
            // Another certificate than ours was seen.
            (end_point(), bound(4), PLUS),
            // Our offer of channel binding was taken out on the way.
            (end_point(), ChannelBinding::unrequested(), PLAIN),
            // Binding is asked for where none was offered.
            (Binding::None, bound(3), PLUS),
        ] {
            let outcome = log_in("app", "pencil", &binding, client, mechanism);
            assert_eq!(outcome, Err(ScramError::ChannelBinding));
        }
    }

    #[test]
    fn the_salt_of_an_unknown_role_is_stable_and_its_own() {
        let roles = roles();
        let salt = |role: &str, key: u8| Credentials::find(&roles, role, &[key; 32]).salt;
        assert_eq!(salt("nobody", 1), salt("nobody", 2));
        assert_ne!(salt("nobody", 1), salt("noone", 1));
        let real = salt("app", 1).len();
        assert_eq!(salt("nobody", 1).len(), real);
    }

    #[test]
    fn malformed_messages_are_refused() {
        let begin = |message: &[u8]| {
            let credentials = Credentials::find(&roles(), "app", &[7; 32]);
            Exchange::begin(
                credentials,
                &Binding::None,
                PLAIN,
                message,
                &[1; NONCE_BYTES],
            )
            .map(|(exchange, _)| exchange)
        };
        for bad in [
            &b""[..],
            b"n",
            b"n,,",
            b"n,,n=a",
            b"n,,n=a,r=",
            b"n,a=x,n=a,r=b",
            b"x,,n=a,r=b",
            b"\xff,,n=,r=b",
            b"n,,m=1,n=a,r=b",
        ] {
            assert!(begin(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        for bad in [
            &b""[..],
            b"c=biws",
            b"c=biws,r=wrong,p=AAAA",
            b"c=biws,r=bAQEB,p=!",
        ] {
            let exchange = begin(b"n,,n=a,r=b").expect("valid");
            assert!(matches!(
                exchange.finish(bad),
                Err(ScramError::Malformed(_))
            ));
        }
    }
}
