//! Tells the operator where the control plane is: a Secret in the operator's namespace, kept fresh.

use super::cluster::{answer, apply};
use super::link::LinkTls;
use super::runtime::LinkKeys;
use crate::clock::Clock;
use crate::runtime::RuntimeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use lumadb_contract::cluster::{LINK_SECRET, link_secret};
use lumadb_contract::service_token::REGION_LIFETIME_SECONDS_MAX;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(20);

/// A token with less than this left is laid down anew, seconds: a control plane that is away for so
/// long is found again by the token of before.
const RENEWAL_SECONDS: u64 = REGION_LIFETIME_SECONDS_MAX / 2;

pub(super) struct Beacon {
    pub(super) secrets: Api<Secret>,
    pub(super) namespace: String,
    pub(super) region: String,
    pub(super) address: String,
    pub(super) tls: Arc<LinkTls>,
    pub(super) keys: LinkKeys,
    pub(super) clock: Clock,
    /// Whether it was ever found to say all that it shall.
    pub(super) told: watch::Sender<bool>,
}

impl Beacon {
    /// Looks again and again, forever. It writes where something is to be said.
    pub(super) async fn keep(self) {
        let mut is_away = false;
        loop {
            match self.look().await {
                Ok(()) => {
                    is_away = false;
                    self.told
                        .send_if_modified(|told| !std::mem::replace(told, true));
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(%error, "the operator is not told where the control plane is");
                    }
                }
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn look(&self) -> Result<(), RuntimeError> {
        let reading = self.secrets.get_opt(LINK_SECRET);
        let found = answer("reading the link's Secret", reading).await?;
        let authority = self.tls.authority_pem();
        if found.is_some_and(|found| self.is_fresh(&found, &authority)) {
            return Ok(());
        }
        let token = self.keys.signer.region(&self.clock, &self.region);
        let token = token.map_err(|error| RuntimeError::Retry(error.to_string()))?;
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": LINK_SECRET, "namespace": self.namespace },
            "type": "Opaque",
            "data": {
                link_secret::ADDRESS: BASE64.encode(&self.address),
                link_secret::AUTHORITY: BASE64.encode(&authority),
                link_secret::TOKEN: BASE64.encode(token),
            },
        });
        apply(
            &self.secrets,
            "writing the link's Secret",
            LINK_SECRET,
            &object,
        )
        .await?;
        tracing::debug!("the operator was told where the control plane is");
        Ok(())
    }

    /// Whether it says all that it shall, and for long enough.
    fn is_fresh(&self, found: &Secret, authority: &str) -> bool {
        let text = |key: &str| {
            let value = found.data.as_ref()?.get(key)?;
            std::str::from_utf8(&value.0).ok()
        };
        let token = text(link_secret::TOKEN)
            .and_then(|token| self.keys.verifier.region(&self.clock, token).ok());
        let now = u64::try_from(self.clock.now().unix_timestamp()).unwrap_or_default();
        let is_good = token.is_some_and(|claims| {
            claims.region == self.region && claims.exp >= now + RENEWAL_SECONDS
        });
        is_good
            && text(link_secret::ADDRESS) == Some(&self.address)
            && text(link_secret::AUTHORITY) == Some(authority)
    }
}
