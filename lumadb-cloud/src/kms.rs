//! Amazon's key management service, or one that speaks as it does, as what seals master keys.

use crate::config::Kms;
use crate::service::with_cause;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::error::DisplayErrorContext;
use aws_sdk_kms::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lumadb_contract::key_chain::{KEY_BYTES, Key};
use lumadb_control_plane::identity::master_keys::{KeyService, KeyServiceError, SealedKey};
use secrecy::zeroize::Zeroizing;
use std::time::Duration;

/// Longest time for one answer, tries included, seconds.
const ANSWER_SECONDS: u64 = 20;

/// What a ciphertext is bound to, beside the key: another use of the same key does not open it.
const CONTEXT: (&str, &str) = ("lumadb", "master key");

impl KeyService for Kms {
    fn seal(&self, key: &Key) -> Result<Option<SealedKey>, KeyServiceError> {
        let Some(key_id) = &self.key_id else {
            return Ok(None);
        };
        let plain = Blob::new(key.bytes().as_slice());
        let sealed = self.ask(key_id, async |client| {
            let asked = client.encrypt().key_id(key_id).plaintext(plain.clone());
            let asked = asked.encryption_context(CONTEXT.0, CONTEXT.1);
            asked.send().await.map_err(|error| told(&error))
        })?;
        let missing = || KeyServiceError("the answer holds no ciphertext".into());
        let ciphertext = sealed.ciphertext_blob.ok_or_else(missing)?;
        let sealed = SealedKey {
            key_id: sealed.key_id.unwrap_or_else(|| key_id.clone()),
            ciphertext: STANDARD.encode(ciphertext),
        };
        // A key that cannot be opened again must not take the place of one that can.
        if self.open(&sealed)? != *key {
            return Err(KeyServiceError(
                "it opens another key than it sealed".into(),
            ));
        }
        Ok(Some(sealed))
    }

    fn open(&self, sealed: &SealedKey) -> Result<Key, KeyServiceError> {
        let malformed = || KeyServiceError("the file is damaged".into());
        let ciphertext = STANDARD.decode(&sealed.ciphertext);
        let ciphertext = Blob::new(ciphertext.map_err(|_| malformed())?);
        let opened = self.ask(&sealed.key_id, async |client| {
            let asked = client.decrypt().key_id(&sealed.key_id);
            let asked = asked.ciphertext_blob(ciphertext.clone());
            let asked = asked.encryption_context(CONTEXT.0, CONTEXT.1);
            asked.send().await.map_err(|error| told(&error))
        })?;
        let plain = opened.plaintext.ok_or_else(malformed)?.into_inner();
        let plain = Zeroizing::new(plain);
        let bytes = <[u8; KEY_BYTES]>::try_from(plain.as_slice());
        bytes.map(Key::new).map_err(|_| malformed())
    }
}

impl Kms {
    /// Asks on a thread of its own: whoever needs a key may be in the middle of something that does
    /// not wait otherwise.
    fn ask<T: Send>(
        &self,
        key_id: &str,
        question: impl AsyncFn(&Client) -> Result<T, KeyServiceError> + Send + Sync,
    ) -> Result<T, KeyServiceError> {
        let asking = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_all().build();
            let runtime = runtime.map_err(|error| KeyServiceError(with_cause(&error)))?;
            runtime.block_on(async { question(&self.client(key_id).await).await })
        };
        std::thread::scope(|scope| {
            let asked = scope.spawn(asking).join();
            asked.unwrap_or_else(|_| Err(KeyServiceError("asking it failed".into())))
        })
    }

    async fn client(&self, key_id: &str) -> Client {
        let mut found = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = self.region.clone().or_else(|| region_of(key_id)) {
            found = found.region(Region::new(region));
        }
        if let Some(endpoint) = &self.endpoint {
            found = found.endpoint_url(endpoint);
        }
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(Duration::from_secs(ANSWER_SECONDS))
            .build();
        Client::new(&found.timeout_config(timeouts).load().await)
    }
}

/// The region that the full name of a key holds, such as
/// `arn:aws:kms:eu-west-1:111122223333:key/…`.
fn region_of(key_id: &str) -> Option<String> {
    let mut parts = key_id.strip_prefix("arn:")?.split(':');
    let region = parts.nth(2)?;
    (!region.is_empty()).then(|| region.to_owned())
}

fn told(error: &(impl std::error::Error + Send + Sync)) -> KeyServiceError {
    KeyServiceError(DisplayErrorContext(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_name_of_a_key_says_its_region() {
        let arn = "arn:aws:kms:eu-west-1:111122223333:key/1234";
        assert_eq!(region_of(arn).as_deref(), Some("eu-west-1"));
        for other in [
            "alias/lumadb",
            "1234abcd",
            "arn:aws:kms::1:key/2",
            "arn:aws",
        ] {
            assert_eq!(region_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_damaged_file_is_told_without_asking_anybody() {
        let sealed = SealedKey {
            key_id: "alias/lumadb".into(),
            ciphertext: "not base64!".into(),
        };
        let error = Kms::default().open(&sealed).expect_err("damaged");
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}
