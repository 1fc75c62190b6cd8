//! What can be set, and the compiled defaults; the larger sections are beside this file.

use super::billing::{Billing, Stripe};
use super::cluster::Cluster;
use super::control::Control;
use super::edge::{Edge, Region};
use super::limits::{LimitsConfig, QuotasConfig};
use super::object_store::{Kms, ObjectStore};
use super::operator::Operator;
use lumadb_control_plane::import::Networks;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Everything that an operator can set. Its defaults run the whole cloud on one machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) http: Http,
    pub(crate) edge: Edge,
    pub(crate) engine: Engine,
    pub(crate) node: Node,
    pub(crate) region: Region,
    pub(crate) cluster: Cluster,
    pub(crate) pool: Pool,
    pub(crate) object_store: ObjectStore,
    pub(crate) control: Control,
    pub(crate) kms: Kms,
    pub(crate) operator: Operator,
    pub(crate) import: Import,
    pub(crate) mail: Mail,
    pub(crate) billing: Billing,
    pub(crate) stripe: Stripe,
    pub(crate) limits: LimitsConfig,
    pub(crate) quotas: QuotasConfig,
    pub(crate) log: Log,
    pub(crate) telemetry: Telemetry,
}

/// The console and the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    /// Address by which browsers reach it, where it stands behind a proxy, such as
    /// `https://cloud.example.com`.
    pub(crate) public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8400)),
            public_url: None,
            trusted_proxies: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    /// Folder that holds `bin/postgres`; searched for when it is not set.
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Node {
    /// `lumadb-node`; the one beside this program when it is not set.
    pub(crate) program: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Pool {
    /// Ready folders, so that creating a database is a rename; each takes about 40 MB.
    pub(crate) size: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self { size: 3 }
    }
}

/// Copying from other PostgreSQL servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Import {
    /// Where those may be: `public` for the internet alone, `any` for this machine and its networks
    /// too, which whoever may import then reaches.
    pub(crate) networks: Networks,
}

/// How mail leaves: to the outbox page, unless a server is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    /// File that holds the server's URL with its password, such as
    /// `smtps://user:password@mail.example.com`.
    pub(crate) smtp_url_file: Option<PathBuf>,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            from: "LumaDB Cloud <noreply@localhost>".into(),
            smtp_url_file: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter for modules; `RUST_LOG` goes first.
    pub(crate) level: String,
    pub(crate) json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            json: false,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Telemetry {
    /// Collector of traces (OTLP over gRPC), such as `http://127.0.0.1:4317`; off unless set.
    pub(crate) otlp_endpoint: Option<String>,
}
