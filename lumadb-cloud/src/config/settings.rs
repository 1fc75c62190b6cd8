//! What can be set, and the compiled defaults.

use lumadb_control_plane::app::Limits;
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
    pub(crate) pool: Pool,
    pub(crate) mail: Mail,
    pub(crate) limits: LimitsConfig,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlaintextFrom {
    Nobody,
    /// Clients on this machine.
    Loopback,
    Everybody,
}

/// Where clients connect to databases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Edge {
    pub(crate) listen: SocketAddr,
    /// Host in connection strings and in certificates.
    pub(crate) host: String,
    /// Which clients may do without TLS.
    pub(crate) plaintext: PlaintextFrom,
    /// Whether the sockets of clients are handed over to nodes where that is possible.
    pub(crate) hand_over: bool,
    /// Sessions that pass through the edge at once.
    pub(crate) sessions_max: usize,
    /// Health and metrics of the edge; off unless set.
    pub(crate) metrics_listen: Option<SocketAddr>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6432)),
            host: "localhost".into(),
            plaintext: PlaintextFrom::Nobody,
            hand_over: true,
            sessions_max: 10_000,
            metrics_listen: None,
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
pub(crate) struct Region {
    pub(crate) name: String,
    pub(crate) display_name: String,
}

impl Default for Region {
    fn default() -> Self {
        Self {
            name: "local".into(),
            display_name: "This machine".into(),
        }
    }
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

/// How often is too often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    pub(crate) requests_per_minute: u32,
    pub(crate) log_in_failures_per_account: u32,
    pub(crate) log_in_failures_per_address: u32,
    pub(crate) sign_ups_per_address: u32,
    pub(crate) mails_per_account: u32,
    pub(crate) resets_per_address: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            requests_per_minute: limits.requests_per_minute,
            log_in_failures_per_account: limits.log_in_failures_per_account,
            log_in_failures_per_address: limits.log_in_failures_per_address,
            sign_ups_per_address: limits.sign_ups_per_address,
            mails_per_account: limits.mails_per_account,
            resets_per_address: limits.resets_per_address,
        }
    }
}

impl LimitsConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            requests_per_minute: self.requests_per_minute,
            log_in_failures_per_account: self.log_in_failures_per_account,
            log_in_failures_per_address: self.log_in_failures_per_address,
            sign_ups_per_address: self.sign_ups_per_address,
            mails_per_account: self.mails_per_account,
            resets_per_address: self.resets_per_address,
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
