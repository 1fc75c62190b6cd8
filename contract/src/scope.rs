//! Credentials of one archive, derived from the root secret of our own S3 server.
//!
//! The access key ID itself says what it may do, and its secret follows from that ID and the root
//! secret. So the control plane makes credentials and the S3 server checks them with no list that
//! both must keep.

use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// Longest scope, bytes.
pub const SCOPE_BYTES_MAX: usize = 64;

/// What a scoped key may do below its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadWrite,
    ReadOnly,
}

impl Access {
    const fn suffix(self) -> &'static str {
        match self {
            Self::ReadWrite => "rw",
            Self::ReadOnly => "ro",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a scope is 1 to 64 characters of a-z, 0-9, `_` and `-`")]
pub struct InvalidScope;

fn valid(scope: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    (1..=SCOPE_BYTES_MAX).contains(&scope.len()) && scope.bytes().all(plain)
}

/// Access key ID and secret with which objects below `<scope>/` can be read, or read and written.
///
/// # Errors
/// The scope is not one plain path segment.
pub fn scoped_credentials(
    root_secret: &Secret,
    scope: &str,
    access: Access,
) -> Result<(String, Secret), InvalidScope> {
    if !valid(scope) {
        return Err(InvalidScope);
    }
    let id = format!("{scope}.{}", access.suffix());
    let secret = derive(root_secret, &id).ok_or(InvalidScope)?;
    Ok((id, secret))
}

/// The scope and the rights that an access key ID names, if it is a scoped one.
pub fn parse_access_key_id(id: &str) -> Option<(&str, Access)> {
    let (scope, suffix) = id.split_once('.')?;
    let access = [Access::ReadWrite, Access::ReadOnly]
        .into_iter()
        .find(|access| access.suffix() == suffix)?;
    valid(scope).then_some((scope, access))
}

/// Always some: HMAC takes a key of any length, and only its general interface can fail.
fn derive(root_secret: &Secret, id: &str) -> Option<Secret> {
    let mut mac = Hmac::<Sha256>::new_from_slice(root_secret.expose().as_bytes()).ok()?;
    mac.update(id.as_bytes());
    let mut text = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    Some(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_scope_and_rights_and_derives_its_secret() {
        let root = Secret::new("root");
        let (id, secret) = scoped_credentials(&root, "arc_01jd", Access::ReadWrite).unwrap();
        assert_eq!(id, "arc_01jd.rw");
        assert_eq!(
            parse_access_key_id(&id),
            Some(("arc_01jd", Access::ReadWrite))
        );
        assert_eq!(secret.expose().len(), 64);
        let (_, read_only) = scoped_credentials(&root, "arc_01jd", Access::ReadOnly).unwrap();
        assert_ne!(secret, read_only);
        let other_root = Secret::new("other");
        let (_, other) = scoped_credentials(&other_root, "arc_01jd", Access::ReadWrite).unwrap();
        assert_ne!(secret, other);
    }

    #[test]
    fn the_secret_is_the_hmac_of_the_id() {
        // RFC 4231's second case has this key; the message stands in for an ID.
        let secret = derive(&Secret::new("Jefe"), "what do ya want for nothing?").unwrap();
        assert_eq!(
            secret.expose(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn only_plain_segments_are_scopes() {
        let long = "a".repeat(65);
        for scope in ["", ".", "..", "a/b", "A", "a.b", "é", long.as_str()] {
            let made = scoped_credentials(&Secret::new("root"), scope, Access::ReadOnly);
            assert_eq!(made, Err(InvalidScope), "{scope}");
        }
        for id in ["a", "a.", "a.r", "a.rw.ro", ".rw", "A.rw", "a/b.ro"] {
            assert_eq!(parse_access_key_id(id), None, "{id}");
        }
    }
}
