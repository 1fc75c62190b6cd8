//! What can be set, and the compiled defaults.

use super::cluster::Cluster;
use lumadb_control_plane::app::Limits;
use lumadb_control_plane::app::billing::{Party, Seller};
use lumadb_control_plane::app::limits::Quotas;
use lumadb_control_plane::import::Networks;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
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

/// What customers pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Billing {
    /// For developers: billing's clock may be moved ahead, to see a month end.
    pub(crate) clock_moves: bool,
    /// Who sells, as invoices say it.
    pub(crate) seller_name: String,
    /// Line by line.
    pub(crate) seller_address: Vec<String>,
    /// With its kind, such as `VAT IE1234567T`.
    pub(crate) seller_tax_id: Option<String>,
    pub(crate) seller_email: Option<String>,
    /// Where transfers go, such as `IBAN: IE29 AIBK 9311 5212 3456 78`; without any, invoices say
    /// nothing of transfers.
    pub(crate) transfer_account: Vec<String>,
}

impl Default for Billing {
    fn default() -> Self {
        Self {
            clock_moves: false,
            seller_name: Seller::default().party.name,
            seller_address: Vec::new(),
            seller_tax_id: None,
            seller_email: None,
            transfer_account: Vec::new(),
        }
    }
}

impl Billing {
    pub(crate) fn seller(&self) -> Seller {
        let account = self.transfer_account.iter().map(|line| {
            let (label, value) = line.split_once(':').unwrap_or(("Account", line));
            (label.trim().to_owned(), value.trim().to_owned())
        });
        Seller {
            party: Party {
                name: self.seller_name.clone(),
                address: self.seller_address.clone(),
                tax_id: self.seller_tax_id.clone(),
                email: self.seller_email.clone(),
            },
            account: account.collect(),
        }
    }
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
    /// Seconds for which it still takes clients after it was told to end, being not ready any more.
    pub(crate) leave_seconds: u64,
    /// Health and metrics of the edge; off unless set.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// For an edge away from the control plane: the folder in which the Secret `lumadb-edge` is mounted,
    /// which says how control plane and nodes are reached. It needs no data folder's keys then.
    pub(crate) control_dir: Option<PathBuf>,
    /// Certificate chain that clients see and its key, each PEM; one of the control plane's own
    /// authority unless they are named.
    pub(crate) certificate_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6432)),
            host: "localhost".into(),
            plaintext: PlaintextFrom::Nobody,
            hand_over: true,
            sessions_max: 10_000,
            leave_seconds: 0,
            metrics_listen: None,
            control_dir: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

impl Edge {
    /// What is wrong, with the key at fault.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.certificate_file.is_some() == self.key_file.is_some() {
            return Ok(());
        }
        let why = "goes with edge.key_file: both or none";
        Err(("certificate_file", why.into()))
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
    /// What runs the region's databases: `local`, this machine, or `kubernetes`, the operator of a
    /// cluster.
    pub(crate) runtime: RuntimeKind,
    /// Host and port of the edge that leads into the cluster, for connection strings; both or none.
    /// Without them strings name the edge of this machine, and databases do not fall asleep.
    pub(crate) edge_host: Option<String>,
    pub(crate) edge_port: Option<u16>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuntimeKind {
    #[default]
    Local,
    Kubernetes,
}

impl Default for Region {
    fn default() -> Self {
        Self {
            name: "local".into(),
            display_name: "This machine".into(),
            runtime: RuntimeKind::default(),
            edge_host: None,
            edge_port: None,
        }
    }
}

impl Region {
    /// Where clients of the region's databases connect, `own` being the edge of this machine.
    pub(crate) fn clients_connect_to(&self, own: (&str, u16)) -> (String, u16) {
        match (&self.edge_host, self.edge_port) {
            (Some(host), Some(port)) => (host.clone(), port),
            _ => (own.0.to_owned(), own.1),
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

/// Where the archives of databases lie: on a server of our own, unless a bucket is named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ObjectStore {
    /// Where our own S3 server listens, for the nodes on this machine.
    pub(crate) listen: SocketAddr,
    /// Bucket of another S3 server: then ours does not run, and this is what the rest is for.
    pub(crate) bucket: Option<String>,
    /// Its base address, such as `https://s3.example.com`; that of Amazon's region when not set.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    /// In front of every key, without slashes around it.
    pub(crate) prefix: Option<String>,
    /// The bucket is named in the path instead of in the host name.
    pub(crate) path_style: bool,
    /// File that holds `access_key_id`, `secret_access_key` and, if need be, `session_token`, each
    /// on a line `name = value`. Without it nodes use what the environment gives: `AWS_…`
    /// variables, web identity, or the machine's role.
    pub(crate) credentials_file: Option<PathBuf>,
    /// Such as `STANDARD_IA`.
    pub(crate) storage_class: Option<String>,
    /// Encryption by the server on top of ours: `AES256` or `aws:kms`.
    pub(crate) server_side_encryption: Option<String>,
}

impl Default for ObjectStore {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            bucket: None,
            endpoint: None,
            region: "us-east-1".into(),
            prefix: None,
            path_style: false,
            credentials_file: None,
            storage_class: None,
            server_side_encryption: None,
        }
    }
}

impl ObjectStore {
    /// Whether our own S3 server holds the archives.
    pub(crate) fn is_built_in(&self) -> bool {
        self.bucket.is_none()
    }

    /// What is wrong, with the key at fault.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let needs_bucket = [
            ("endpoint", self.endpoint.is_some()),
            ("prefix", self.prefix.is_some()),
            ("credentials_file", self.credentials_file.is_some()),
            ("storage_class", self.storage_class.is_some()),
            (
                "server_side_encryption",
                self.server_side_encryption.is_some(),
            ),
        ];
        if self.is_built_in()
            && let Some((key, _)) = needs_bucket.into_iter().find(|(_, set)| *set)
        {
            return Err((
                key,
                "is of no use without object_store.bucket, and that is not set".into(),
            ));
        }
        if let Some(endpoint) = &self.endpoint
            && !["http://", "https://"]
                .iter()
                .any(|start| endpoint.starts_with(start))
        {
            return Err(("endpoint", "begins with http:// or https://".into()));
        }
        if let Some(prefix) = &self.prefix
            && (prefix.is_empty() || prefix.starts_with('/') || prefix.ends_with('/'))
        {
            return Err(("prefix", "has no slash at its ends and is not empty".into()));
        }
        if let Some(encryption) = &self.server_side_encryption
            && !["AES256", "aws:kms"].contains(&encryption.as_str())
        {
            return Err(("server_side_encryption", "is AES256 or aws:kms".into()));
        }
        Ok(())
    }
}

/// A key management service that seals the files of master keys: Amazon's, or one that speaks as it
/// does. It is logged in to by what the environment gives: `AWS_…` variables, web identity, or the
/// machine's role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Kms {
    /// The key that seals, by ID, full name (ARN) or alias; without it master keys lie in their
    /// files as they are.
    pub(crate) key_id: Option<String>,
    /// Address of the service; that of Amazon's region when not set.
    pub(crate) endpoint: Option<String>,
    /// As the key's full name says it, or the environment, when not set.
    pub(crate) region: Option<String>,
}

/// Running databases in a Kubernetes cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Operator {
    /// How the cluster is reached; without it by the service account of the pod, `KUBECONFIG` or
    /// `~/.kube/config`.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The namespace whose databases are run; all unless it is named.
    pub(crate) namespace: Option<String>,
    /// Name of this process among operators, in the lease; host and process ID unless it is given.
    /// In a pod: the pod's name, so that one that starts again there goes on at once.
    pub(crate) identity: Option<String>,
    /// Health and metrics of the operator.
    pub(crate) listen: SocketAddr,
    /// Databases that are worked on at once.
    pub(crate) concurrency: u16,
    /// Namespace of operator and edges, where the lease is.
    pub(crate) system_namespace: String,
    /// Namespace whose pods may read databases' metrics.
    pub(crate) monitoring_namespace: String,
    /// Image of databases' pods.
    pub(crate) image: String,
    /// Where databases' pods find the operator.
    pub(crate) parent: String,
    /// Where it listens for them.
    pub(crate) parent_listen: SocketAddr,
    /// Networks of the object store, for databases' pods; of `0.0.0.0/0` and `::/0` private ones are
    /// left out.
    pub(crate) object_store_networks: Vec<String>,
    pub(crate) object_store_port: u16,
}

impl Default for Operator {
    fn default() -> Self {
        let settings = lumadb_operator::Settings::default();
        Self {
            kubeconfig: None,
            namespace: None,
            identity: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            concurrency: 16,
            system_namespace: settings.system_namespace,
            monitoring_namespace: settings.monitoring_namespace,
            image: settings.image,
            parent: settings.parent,
            parent_listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8443)),
            object_store_networks: settings.object_store_networks,
            object_store_port: settings.object_store_port,
        }
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

/// Who collects what is owed: Stripe, where its keys are given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stripe {
    /// File that holds the account's secret key, `sk_…`. The variable `LUMADB_STRIPE_SECRET_KEY`
    /// may hold it instead.
    pub(crate) secret_key_file: Option<PathBuf>,
    /// File that holds the secret of the webhook's endpoint, `whsec_…`. The variable
    /// `LUMADB_STRIPE_WEBHOOK_SECRET` may hold it instead.
    pub(crate) webhook_secret_file: Option<PathBuf>,
    /// Without a key, whether a server of our own stands in, which knows test cards alone. Without
    /// that too, nobody's card is charged: invoices are paid by transfer.
    pub(crate) test_server: bool,
    /// Of what that server is asked and of its webhooks, so many percent go wrong on purpose.
    pub(crate) test_server_faults: u8,
    /// Where it listens, for this machine's browser.
    pub(crate) listen: SocketAddr,
}

impl Default for Stripe {
    fn default() -> Self {
        Self {
            secret_key_file: None,
            webhook_secret_file: None,
            test_server: true,
            test_server_faults: 0,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

impl Stripe {
    /// Whether the server of our own stands in.
    pub(crate) fn is_stand_in(&self) -> bool {
        let given = std::env::var_os(super::SECRET_KEY_VARIABLE).is_some();
        self.test_server && self.secret_key_file.is_none() && !given
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

/// Limits of plans that have some (Free), instead of the price book's. Together for the databases of
/// an organization.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QuotasConfig {
    pub(crate) storage_bytes: Option<u64>,
    pub(crate) requests_per_day: Option<u64>,
    pub(crate) transfer_out_bytes_per_month: Option<u64>,
    pub(crate) vector_operations_per_month: Option<u64>,
}

impl QuotasConfig {
    pub(crate) const fn quotas(self) -> Quotas {
        Quotas {
            storage_bytes: self.storage_bytes,
            requests: self.requests_per_day,
            transfer_out: self.transfer_out_bytes_per_month,
            vector_operations: self.vector_operations_per_month,
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
