//! Passwords of people: argon2id, on threads of their own and only a few at a time.

use crate::identity::random::{self, NoRandomness};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use lumadb_contract::secret::Secret;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Shortest password, characters (NIST SP 800-63B asks for at least eight).
pub const CHARACTERS_MIN: usize = 10;
/// Longest password, characters.
pub const CHARACTERS_MAX: usize = 128;

// OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_BYTES: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("argon2: {0}")]
    Hash(String),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    #[error("the thread that hashed a password is gone")]
    Gone,
}

/// Hashes and checks passwords. Clones share the limit.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    slots: Arc<Semaphore>,
    /// Checked when there is no user, so that the answer takes as long as if there were one.
    decoy: Arc<str>,
}

impl PasswordHasher {
    /// At most `parallel` hashes at once; each takes 19 MiB and some 50 ms of a core.
    pub fn new(parallel: usize) -> Result<Self, PasswordError> {
        Ok(Self {
            slots: Arc::new(Semaphore::new(parallel.max(1))),
            decoy: hash_now(&Secret::new(random::base62(20)?))?.into(),
        })
    }

    /// In PHC format.
    pub async fn hash(&self, password: &Secret) -> Result<String, PasswordError> {
        let password = password.clone();
        self.run(move || hash_now(&password)).await
    }

    /// Whether the password is the one that was hashed; without a hash never, after the same time.
    pub async fn verify(
        &self,
        password: &Secret,
        hash: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let password = password.clone();
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        self.run(move || {
            let parsed =
                PasswordHash::new(&hash).map_err(|error| PasswordError::Hash(error.to_string()))?;
            let matches = algorithm()?
                .verify_password(password.expose().as_bytes(), &parsed)
                .is_ok();
            Ok(matches && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| PasswordError::Gone)?;
        tokio::task::spawn_blocking(move || {
            // Held by the thread: a caller that went away frees no slot while its hash still runs.
            let _slot = slot;
            work()
        })
        .await
        .map_err(|_| PasswordError::Gone)?
    }
}

fn algorithm() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &Secret) -> Result<String, PasswordError> {
    let salt = random::bytes::<SALT_BYTES>()?;
    algorithm()?
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| PasswordError::Hash(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_nothing_matches_without_a_hash() {
        let hasher = PasswordHasher::new(2).expect("a hasher");
        let password = Secret::new("correct horse battery");
        let hash = hasher.hash(&password).await.expect("hashed");
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let verify = |text: &str, hash: Option<String>| {
            let (hasher, text) = (hasher.clone(), Secret::new(text));
            async move {
                hasher
                    .verify(&text, hash.as_deref())
                    .await
                    .expect("checked")
            }
        };
        assert!(verify("correct horse battery", Some(hash.clone())).await);
        assert!(!verify("correct horse batterz", Some(hash)).await);
        assert!(!verify("correct horse battery", None).await);
    }
}
