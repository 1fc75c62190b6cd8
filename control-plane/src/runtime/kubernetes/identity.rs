//! What a cluster's nodes are known by, and which edges they believe.

use super::super::RuntimeError;
use super::super::local::authority::{
    Authority, AuthorityError, CERTIFICATE_LIFETIME, CERTIFICATE_RENEWAL,
};
use crate::clock::Clock;
use lumadb_contract::cluster::{InstanceSecret, TlsIssued};
use lumadb_contract::edge_link::{EdgeTrust, certificate_name};
use lumadb_contract::instance::{InstanceSpec, TlsIdentity};
use std::path::Path;
use time::OffsetDateTime;

/// What a node's spec says of its certificate and of edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) tls: TlsIdentity,
    pub(super) issued: TlsIssued,
    pub(super) edges: EdgeTrust,
}

impl Identity {
    /// What a Secret says already; `None` where it says only a part.
    pub(super) fn of(secret: InstanceSecret) -> Option<Self> {
        Some(Self {
            tls: secret.tls?,
            issued: secret.tls_issued?,
            edges: secret.edges?,
        })
    }
}

/// Gives nodes their certificates.
#[derive(Debug)]
pub(super) struct Identities {
    authority: Authority,
    edges: EdgeTrust,
    namespace: String,
    clock: Clock,
}

impl Identities {
    /// `folder` is the authority's.
    pub(super) fn open(
        folder: &Path,
        region: &str,
        namespace: &str,
        clock: Clock,
    ) -> Result<Self, AuthorityError> {
        let authority = Authority::open(folder, clock.now())?;
        Ok(Self {
            edges: EdgeTrust {
                authority_pem: authority.certificate_pem().to_owned(),
                certificate_name: certificate_name(region),
            },
            authority,
            namespace: namespace.to_owned(),
            clock,
        })
    }

    /// What the node of this spec shall be known by: what it has, for as long as that is good.
    pub(super) fn of(
        &self,
        spec: &InstanceSpec,
        kept: Option<Identity>,
    ) -> Result<Identity, RuntimeError> {
        let now = self.clock.now();
        let names = names(spec, &self.namespace);
        let kept = kept.filter(|kept| is_good(kept, &names, &self.edges, now));
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let issuing = self.authority.issue(&names, now);
        let tls = issuing.map_err(|error| RuntimeError::GiveUp(error.to_string()))?;
        Ok(Identity {
            tls,
            issued: TlsIssued {
                names,
                expires_at: now + CERTIFICATE_LIFETIME,
            },
            edges: self.edges.clone(),
        })
    }
}

/// First the name by which edges ask for the database, then those by which the cluster knows it.
fn names(spec: &InstanceSpec, namespace: &str) -> Vec<String> {
    let service = format!("{}.{namespace}.svc", spec.database_id.host_label());
    vec![
        spec.serves().host_label(),
        format!("{service}.cluster.local"),
        service,
    ]
}

fn is_good(kept: &Identity, names: &[String], edges: &EdgeTrust, now: OffsetDateTime) -> bool {
    kept.issued.names == names
        && kept.issued.expires_at - CERTIFICATE_RENEWAL > now
        && kept.edges == *edges
        && kept
            .tls
            .certificate_chain_pem
            .ends_with(&edges.authority_pem)
}
