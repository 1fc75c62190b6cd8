//! Tells the operator, and edges in the cluster, where the control plane is: Secrets in the operator's
//! namespace, kept fresh.

use super::super::local::authority::Authority;
use super::cluster::{answer, apply};
use super::link::LinkTls;
use super::runtime::LinkKeys;
use crate::clock::Clock;
use crate::identity::ServiceTokenError;
use crate::runtime::RuntimeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use lumadb_contract::cluster::{EDGE_SECRET, LINK_SECRET, edge_secret, link_secret};
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::service_token::{REGION_LIFETIME_SECONDS_MAX, RegionClaims};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(20);

/// A token with less than this left is laid down anew, seconds, and certificates with it: a control
/// plane that is away for so long is found again by the token of before.
const RENEWAL_SECONDS: u64 = REGION_LIFETIME_SECONDS_MAX / 2;

/// One Secret.
pub(super) struct Beacon {
    pub(super) secrets: Api<Secret>,
    pub(super) namespace: String,
    pub(super) region: String,
    pub(super) to: Reader,
    /// Where it is reached by whom this is for.
    pub(super) address: String,
    /// Of the link; its authority is that of the endpoint for edges, too.
    pub(super) tls: Arc<LinkTls>,
    pub(super) keys: LinkKeys,
    pub(super) clock: Clock,
    /// Whether it was ever found to say all that it shall.
    pub(super) told: watch::Sender<bool>,
}

/// Who reads a Secret.
pub(super) enum Reader {
    Operator,
    /// Edges in the cluster.
    Edges {
        /// Of nodes' certificates, and of those that edges show.
        authority: Arc<Authority>,
        /// Where clients reach the edges.
        host: String,
    },
}

impl Beacon {
    /// Looks again and again, forever. It writes where something is to be said.
    pub(super) async fn keep(self) {
        let mut is_away = false;
        let secret = self.to.secret();
        loop {
            match self.look().await {
                Ok(()) => {
                    is_away = false;
                    self.told
                        .send_if_modified(|told| !std::mem::replace(told, true));
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(%error, secret, "the cluster is not told where the control plane is");
                    }
                }
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn look(&self) -> Result<(), RuntimeError> {
        let name = self.to.secret();
        let reading = format!("reading the Secret {name}");
        let found = answer(&reading, self.secrets.get_opt(name)).await?;
        let lasting = self.lasting();
        if found.is_some_and(|found| self.is_fresh(&found, &lasting)) {
            return Ok(());
        }
        let retry = |error: String| RuntimeError::Retry(error);
        let passing = self.passing().map_err(retry)?;
        let data: serde_json::Map<_, _> = lasting
            .into_iter()
            .chain(passing)
            .map(|(key, text)| (key.to_owned(), json!(BASE64.encode(text))))
            .collect();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": self.namespace },
            "type": "Opaque",
            "data": data,
        });
        let writing = format!("writing the Secret {name}");
        apply(&self.secrets, &writing, name, &object).await?;
        tracing::debug!(
            secret = name,
            "the cluster was told where the control plane is"
        );
        Ok(())
    }

    /// Whether it says all that it shall, and for long enough.
    fn is_fresh(&self, found: &Secret, lasting: &[(&'static str, String)]) -> bool {
        let text = |key: &str| {
            let value = found.data.as_ref()?.get(key)?;
            std::str::from_utf8(&value.0).ok()
        };
        let claims = text(self.to.token_key())
            .and_then(|token| self.to.claims(&self.keys, &self.clock, token).ok());
        let now = u64::try_from(self.clock.now().unix_timestamp()).unwrap_or_default();
        let is_good = claims.is_some_and(|claims| {
            claims.region == self.region && claims.exp >= now + RENEWAL_SECONDS
        });
        is_good
            && lasting
                .iter()
                .all(|(key, wanted)| text(key) == Some(wanted))
            && (self.to.certificates().iter()).all(|key| text(key).is_some())
    }

    /// What of it does not end.
    fn lasting(&self) -> Vec<(&'static str, String)> {
        let (address, authority) = (self.address.clone(), self.tls.authority_pem());
        match &self.to {
            Reader::Operator => vec![
                (link_secret::ADDRESS, address),
                (link_secret::AUTHORITY, authority),
            ],
            Reader::Edges {
                authority: of_nodes,
                ..
            } => vec![
                (edge_secret::ADDRESS, address),
                (edge_secret::AUTHORITY, authority),
                (
                    edge_secret::NODES_AUTHORITY,
                    of_nodes.certificate_pem().to_owned(),
                ),
                (edge_secret::SQL_TOKEN_KEY, self.keys.public_key_pem.clone()),
            ],
        }
    }

    /// What of it ends, new: a token and certificates.
    fn passing(&self) -> Result<Vec<(&'static str, String)>, String> {
        let (signer, clock, region) = (&self.keys.signer, &self.clock, &self.region);
        let text = |error: &dyn std::error::Error| error.to_string();
        match &self.to {
            Reader::Operator => {
                let token = signer.region(clock, region).map_err(|error| text(&error))?;
                Ok(vec![(link_secret::TOKEN, token)])
            }
            Reader::Edges { authority, host } => {
                let now = clock.now();
                let token = signer.region_edges(clock, region);
                let token = token.map_err(|error| text(&error))?;
                let to_nodes = authority.issue_edge(region, now);
                let to_nodes = to_nodes.map_err(|error| text(&error))?;
                let names = [host.clone(), format!("*.{host}")];
                let to_clients = authority.issue(&names, now);
                let to_clients = to_clients.map_err(|error| text(&error))?;
                let key = |of: &TlsIdentity| of.private_key_pem.expose().to_owned();
                Ok(vec![
                    (edge_secret::TOKEN, token),
                    (edge_secret::KEY, key(&to_nodes)),
                    (edge_secret::CERTIFICATE, to_nodes.certificate_chain_pem),
                    (edge_secret::SERVER_KEY, key(&to_clients)),
                    (
                        edge_secret::SERVER_CERTIFICATE,
                        to_clients.certificate_chain_pem,
                    ),
                ])
            }
        }
    }
}

impl Reader {
    fn secret(&self) -> &'static str {
        match self {
            Self::Operator => LINK_SECRET,
            Self::Edges { .. } => EDGE_SECRET,
        }
    }

    fn token_key(&self) -> &'static str {
        match self {
            Self::Operator => link_secret::TOKEN,
            Self::Edges { .. } => edge_secret::TOKEN,
        }
    }

    /// Keys of certificates, which are as old as the token.
    fn certificates(&self) -> &'static [&'static str] {
        match self {
            Self::Operator => &[],
            Self::Edges { .. } => &[
                edge_secret::CERTIFICATE,
                edge_secret::KEY,
                edge_secret::SERVER_CERTIFICATE,
                edge_secret::SERVER_KEY,
            ],
        }
    }

    fn claims(
        &self,
        keys: &LinkKeys,
        clock: &Clock,
        token: &str,
    ) -> Result<RegionClaims, ServiceTokenError> {
        match self {
            Self::Operator => keys.verifier.region(clock, token),
            Self::Edges { .. } => keys.verifier.region_edges(clock, token),
        }
    }
}
