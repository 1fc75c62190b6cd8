//! Keys of archives: the master key wraps an organization's, an organization's wraps an archive's.
//!
//! The chain of wrapped keys lies in the archive beside what it protects, so that the bucket and the
//! file with the master key are enough to restore on the worst day, with no control plane. A node
//! gets an archive's key and never one above it.
//!
//! A wrapped key is AES-256-GCM over 32 bytes; its owner's IDs are associated data, so that a key
//! moved to another organization or archive does not unwrap. Nonces and new keys are parameters:
//! each is 12 or 32 fresh random bytes.

use crate::id::{ArchiveId, OrganizationId};
use crate::secret::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Bytes of a nonce; it stands in front of the wrapped key.
pub const NONCE_BYTES: usize = 12;

/// Version of the form of [`KeyChain`].
pub const KEY_CHAIN_VERSION: u16 = 1;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a key is {KEY_BYTES} bytes in base64")]
    Malformed,
    #[error("the keys are wrapped by master key {needed}, and {given} was given")]
    OtherMasterKey { needed: String, given: String },
    #[error("{0} does not unwrap: it is damaged, or belongs to something else")]
    Wrapped(&'static str),
    #[error("the key chain belongs to {found}, not to {expected}")]
    OtherArchive {
        found: ArchiveId,
        expected: ArchiveId,
    },
    #[error("key chains of version {0} are not known here")]
    Version(u16),
}

/// A key of 256 bits. It does not print, and its memory is cleared on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key(…)")
    }
}

impl Key {
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads 32 bytes in base64, with or without a line's end: the content of a master key's file,
    /// and [`crate::archive::ArchiveAccess::key`].
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text.trim_ascii()).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| KeyError::Malformed)?;
        let bytes = <[u8; KEY_BYTES]>::try_from(bytes.as_slice());
        bytes.map(Self::new).map_err(|_| KeyError::Malformed)
    }

    pub fn to_base64(&self) -> Secret {
        Secret::new(STANDARD.encode(self.bytes()))
    }

    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Names a master key without telling anything of it.
    pub fn fingerprint(&self) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.bytes());
        let tag = hmac::sign(&key, b"lumadb master key");
        let hex = tag
            .as_ref()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"));
        hex.collect()
    }

    fn wrap(&self, inner: &Self, context: &str, nonce: [u8; NONCE_BYTES]) -> Option<WrappedKey> {
        let mut sealed = nonce.to_vec();
        let mut bytes = inner.bytes().to_vec();
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.bytes()).ok()?);
        let nonce = Nonce::assume_unique_for_key(nonce);
        aead.seal_in_place_append_tag(nonce, Aad::from(context), &mut bytes)
            .ok()?;
        sealed.append(&mut bytes);
        Some(WrappedKey(STANDARD.encode(sealed)))
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &str) -> Option<Self> {
        let sealed = STANDARD.decode(&wrapped.0).ok()?;
        let (nonce, bytes) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = Zeroizing::new(bytes.to_vec());
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.bytes()).ok()?);
        let inner = aead
            .open_in_place(nonce, Aad::from(context), &mut bytes)
            .ok()?;
        <[u8; KEY_BYTES]>::try_from(&*inner).ok().map(Self::new)
    }
}

/// A key that only the one above it opens: base64 of nonce, ciphertext and tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrappedKey(pub String);

fn organization_context(organization_id: OrganizationId) -> String {
    format!("lumadb organization key 1 {organization_id}")
}

fn archive_context(organization_id: OrganizationId, archive_id: ArchiveId) -> String {
    format!("lumadb archive key 1 {organization_id} {archive_id}")
}

/// Wraps an organization's key by the master key.
pub fn organization_key_wrap(
    master: &Key,
    organization_id: OrganizationId,
    key: &Key,
    nonce: [u8; NONCE_BYTES],
) -> Result<WrappedKey, KeyError> {
    let wrapped = master.wrap(key, &organization_context(organization_id), nonce);
    wrapped.ok_or(KeyError::Malformed)
}

pub fn organization_key_unwrap(
    master: &Key,
    organization_id: OrganizationId,
    wrapped: &WrappedKey,
) -> Result<Key, KeyError> {
    let key = master.unwrap(wrapped, &organization_context(organization_id));
    key.ok_or(KeyError::Wrapped("the organization's key"))
}

/// Wraps an archive's key by its organization's.
pub fn archive_key_wrap(
    organization: &Key,
    organization_id: OrganizationId,
    archive_id: ArchiveId,
    key: &Key,
    nonce: [u8; NONCE_BYTES],
) -> Result<WrappedKey, KeyError> {
    let wrapped = organization.wrap(key, &archive_context(organization_id, archive_id), nonce);
    wrapped.ok_or(KeyError::Malformed)
}

pub fn archive_key_unwrap(
    organization: &Key,
    organization_id: OrganizationId,
    archive_id: ArchiveId,
    wrapped: &WrappedKey,
) -> Result<Key, KeyError> {
    let key = organization.unwrap(wrapped, &archive_context(organization_id, archive_id));
    key.ok_or(KeyError::Wrapped("the archive's key"))
}

/// Wraps an organization's key by another master key than before.
pub fn organization_key_rewrap(
    old: &Key,
    new: &Key,
    organization_id: OrganizationId,
    wrapped: &WrappedKey,
    nonce: [u8; NONCE_BYTES],
) -> Result<WrappedKey, KeyError> {
    let key = organization_key_unwrap(old, organization_id, wrapped)?;
    organization_key_wrap(new, organization_id, &key, nonce)
}

const SEAL_CONTEXT: &str = "lumadb seal key 1";

/// Wraps the key that the control plane seals secrets in its tables with.
pub fn seal_key_wrap(
    master: &Key,
    key: &Key,
    nonce: [u8; NONCE_BYTES],
) -> Result<WrappedKey, KeyError> {
    let wrapped = master.wrap(key, SEAL_CONTEXT, nonce);
    wrapped.ok_or(KeyError::Malformed)
}

pub fn seal_key_unwrap(master: &Key, wrapped: &WrappedKey) -> Result<Key, KeyError> {
    let key = master.unwrap(wrapped, SEAL_CONTEXT);
    key.ok_or(KeyError::Wrapped("the sealing key"))
}

/// What [`crate::archive::ArchiveSpec::wrapped_key`] holds: all that leads from the master key to
/// an archive's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChain {
    pub version: u16,
    pub organization_id: OrganizationId,
    pub archive_id: ArchiveId,
    /// [`Key::fingerprint`] of the master key.
    pub master_key: String,
    /// By the master key.
    pub organization_key: WrappedKey,
    /// By the organization's key.
    pub archive_key: WrappedKey,
}

impl KeyChain {
    /// The same keys under another master key: the archive's own stays as it is wrapped.
    pub fn rewrap(&self, old: &Key, new: &Key, nonce: [u8; NONCE_BYTES]) -> Result<Self, KeyError> {
        let organization_key = organization_key_rewrap(
            old,
            new,
            self.organization_id,
            &self.organization_key,
            nonce,
        )?;
        Ok(Self {
            master_key: new.fingerprint(),
            organization_key,
            ..self.clone()
        })
    }

    /// The archive's key.
    pub fn open(&self, master: &Key, archive_id: ArchiveId) -> Result<Key, KeyError> {
        if self.version != KEY_CHAIN_VERSION {
            return Err(KeyError::Version(self.version));
        }
        if self.archive_id != archive_id {
            return Err(KeyError::OtherArchive {
                found: self.archive_id,
                expected: archive_id,
            });
        }
        if self.master_key != master.fingerprint() {
            return Err(KeyError::OtherMasterKey {
                needed: self.master_key.clone(),
                given: master.fingerprint(),
            });
        }
        let organization_id = self.organization_id;
        let organization =
            organization_key_unwrap(master, organization_id, &self.organization_key)?;
        archive_key_unwrap(
            &organization,
            organization_id,
            archive_id,
            &self.archive_key,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn chain(master: &Key) -> (KeyChain, Key) {
        let organization_id = OrganizationId::from_uuid(Uuid::from_u128(1));
        let archive_id = ArchiveId::from_uuid(Uuid::from_u128(2));
        let (organization, archive) = (Key::new([2; 32]), Key::new([3; 32]));
        let wrapped = organization_key_wrap(master, organization_id, &organization, [4; 12]);
        let inner = archive_key_wrap(
            &organization,
            organization_id,
            archive_id,
            &archive,
            [5; 12],
        );
        let chain = KeyChain {
            version: KEY_CHAIN_VERSION,
            organization_id,
            archive_id,
            master_key: master.fingerprint(),
            organization_key: wrapped.expect("wraps"),
            archive_key: inner.expect("wraps"),
        };
        (chain, archive)
    }

    #[test]
    fn the_master_key_and_what_lies_in_the_archive_give_its_key() {
        let master = Key::new([1; 32]);
        let (chain, archive) = chain(&master);
        let lies = serde_json::to_string(&chain).expect("writes");
        let read: KeyChain = serde_json::from_str(&lies).expect("reads");
        let file = format!("{}\n", master.to_base64().expose());
        let master = Key::from_base64(&file).expect("reads");
        assert_eq!(read.open(&master, chain.archive_id), Ok(archive));
    }

    #[test]
    fn another_master_key_is_named_and_another_owner_is_refused() {
        let master = Key::new([1; 32]);
        let (chain, _) = chain(&master);
        let other = Key::new([9; 32]);
        assert!(matches!(
            chain.open(&other, chain.archive_id),
            Err(KeyError::OtherMasterKey { .. })
        ));
        let elsewhere = ArchiveId::from_uuid(Uuid::from_u128(7));
        let mut moved = chain.clone();
        moved.archive_id = elsewhere;
        assert_eq!(
            moved.open(&master, elsewhere),
            Err(KeyError::Wrapped("the archive's key"))
        );
        let mut moved = chain.clone();
        moved.organization_id = OrganizationId::from_uuid(Uuid::from_u128(7));
        assert_eq!(
            moved.open(&master, chain.archive_id),
            Err(KeyError::Wrapped("the organization's key"))
        );
        assert!(chain.open(&master, elsewhere).is_err());
    }

    #[test]
    fn under_another_master_key_the_archives_key_is_the_same() {
        let (old, new) = (Key::new([1; 32]), Key::new([6; 32]));
        let (before, archive) = chain(&old);
        let after = before.rewrap(&old, &new, [7; 12]).expect("wraps");
        assert_eq!(after.open(&new, after.archive_id), Ok(archive));
        assert!(after.open(&old, after.archive_id).is_err());
        assert_eq!(after.archive_key, before.archive_key);
        assert_eq!(
            before.rewrap(&new, &old, [7; 12]),
            Err(KeyError::Wrapped("the organization's key"))
        );
        let sealing = Key::new([8; 32]);
        let wrapped = seal_key_wrap(&old, &sealing, [9; 12]).expect("wraps");
        assert_eq!(seal_key_unwrap(&old, &wrapped), Ok(sealing));
        assert!(seal_key_unwrap(&new, &wrapped).is_err());
    }

    #[test]
    fn a_key_does_not_print_and_a_bad_one_is_refused() {
        assert_eq!(format!("{:?}", Key::new([1; 32])), "Key(…)");
        for bad in ["", "AAAA", "not base64"] {
            assert_eq!(Key::from_base64(bad), Err(KeyError::Malformed), "{bad}");
        }
    }
}
