//! Sealing of secrets that must be read again: AES-256-GCM, bound to the row that holds them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use lumadb_contract::secret::Secret;
use std::sync::Arc;
use uuid::Uuid;

/// Length of the key, bytes.
const KEY_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("a sealing key is {KEY_BYTES} bytes")]
    Malformed,
    #[error("a secret could not be sealed")]
    NotSealed,
    #[error("a sealed secret does not open: it was changed, moved, or sealed under another key")]
    NotOpened,
}

/// What a sealed secret is for; one sealed for a purpose does not open for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealPurpose {
    /// Password of a login role of a database, bound to the role's row.
    RolePassword,
    /// Stored answer of a request with an idempotency key.
    IdempotentAnswer,
    /// Connection string of an import's source, bound to the import.
    ImportSource,
}

impl SealPurpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::RolePassword => b"lumadb/role-password/v1\0",
            Self::IdempotentAnswer => b"lumadb/idempotent-answer/v1\0",
            Self::ImportSource => b"lumadb/import-source/v1\0",
        }
    }
}

/// What secrets in the tables are sealed with.
#[derive(Clone)]
pub struct SealKey(Arc<RandomizedNonceKey>);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SealKey(…)")
    }
}

impl SealKey {
    pub fn from_bytes(key: &[u8]) -> Result<Self, SealError> {
        RandomizedNonceKey::new(&AES_256_GCM, key)
            .map(|key| Self(Arc::new(key)))
            .map_err(|_| SealError::Malformed)
    }

    /// Nonce (12 bytes), ciphertext, tag (16 bytes). `place` names where the result is kept, such
    /// as the bytes of a row's identifier; it opens there alone.
    pub fn seal_bytes(
        &self,
        purpose: SealPurpose,
        place: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut text = Vec::with_capacity(plain.len() + MAX_TAG_LEN);
        text.extend_from_slice(plain);
        let nonce = self
            .0
            .seal_in_place_append_tag(associated(purpose, place), &mut text)
            .map_err(|_| SealError::NotSealed)?;
        let mut out = nonce.as_ref().to_vec();
        out.append(&mut text);
        Ok(out)
    }

    pub fn open_bytes(
        &self,
        purpose: SealPurpose,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let (nonce, text) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or(SealError::NotOpened)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::NotOpened)?;
        let mut text = text.to_vec();
        let plain = self
            .0
            .open_in_place(nonce, associated(purpose, place), &mut text)
            .map_err(|_| SealError::NotOpened)?;
        Ok(plain.to_vec())
    }

    /// Seals a text for the row with this identifier.
    pub fn seal(
        &self,
        purpose: SealPurpose,
        row: Uuid,
        secret: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        self.seal_bytes(purpose, row.as_bytes(), secret.expose().as_bytes())
    }

    /// Opens what [`SealKey::seal`] made for the same row.
    pub fn open(
        &self,
        purpose: SealPurpose,
        row: Uuid,
        sealed: &[u8],
    ) -> Result<Secret, SealError> {
        let plain = self.open_bytes(purpose, row.as_bytes(), sealed)?;
        String::from_utf8(plain)
            .map(Secret::new)
            .map_err(|_| SealError::NotOpened)
    }
}

fn associated(purpose: SealPurpose, place: &[u8]) -> Aad<Vec<u8>> {
    Aad::from([purpose.label(), place].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_password_opens_in_its_own_row_alone() {
        let key = SealKey::from_bytes(&[7; KEY_BYTES]).expect("a key");
        let (row, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let secret = Secret::new("correct horse");
        let purpose = SealPurpose::RolePassword;
        let mut sealed = key.seal(purpose, row, &secret).expect("sealed");
        assert_eq!(key.open(purpose, row, &sealed).expect("opens"), secret);
        assert!(key.open(purpose, other, &sealed).is_err());
        let other_purpose = SealPurpose::IdempotentAnswer;
        assert!(key.open(other_purpose, row, &sealed).is_err());
        let other_key = SealKey::from_bytes(&[8; KEY_BYTES]).expect("a key");
        assert!(other_key.open(purpose, row, &sealed).is_err());
        sealed[20] ^= 1;
        assert!(key.open(purpose, row, &sealed).is_err());
        assert!(key.open(purpose, row, &sealed[..5]).is_err());
    }

    #[test]
    fn sealing_twice_never_gives_the_same_text() {
        let key = SealKey::from_bytes(&[7; KEY_BYTES]).expect("a key");
        let seal = || {
            key.seal(SealPurpose::RolePassword, Uuid::nil(), &Secret::new("a"))
                .expect("sealed")
        };
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(matches!(
            SealKey::from_bytes(&[0; 16]),
            Err(SealError::Malformed)
        ));
    }
}
