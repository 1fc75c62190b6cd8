//! The services: what each child of `up` does.
//!
//! Each is wiring alone: it reads its configuration and its keys, opens what it needs and runs
//! until it is told to stop.

pub(crate) mod api;
pub(crate) mod edge;
pub(crate) mod object_store;
pub(crate) mod operator;
pub(crate) mod s3;
mod stripe;
pub(crate) mod stripe_fake;
pub(crate) mod worker;

use crate::config::Config;
use crate::database;
use crate::keys::KeyFiles;
use lumadb_control_plane::app::archive::{ArchiveKeyError, rewrap};
use lumadb_control_plane::app::{Keys, Links, Platform, Settings};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::collect::StripeCollection;
use lumadb_control_plane::identity::{ServiceSigner, ServiceVerifier};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::store::Store;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("could not listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("could not read {}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("signals are refused: {0}")]
    Signals(std::io::Error),
    #[error(transparent)]
    Key(#[from] lumadb_control_plane::identity::ServiceTokenError),
    #[error(transparent)]
    Platform(#[from] lumadb_control_plane::app::PlatformError),
    #[error(transparent)]
    Authority(#[from] lumadb_control_plane::runtime::local::authority::AuthorityError),
    #[error(transparent)]
    Runtime(#[from] lumadb_control_plane::runtime::RuntimeError),
    #[error(transparent)]
    Mail(#[from] lumadb_control_plane::notify::TransportError),
    #[error(transparent)]
    EdgeControl(#[from] lumadb_control_plane::workflow::edge_control::ServeError),
    #[error(transparent)]
    Edge(#[from] lumadb_data_plane::edge::EdgeError),
    #[error(transparent)]
    Programs(#[from] crate::up::UpError),
    #[error("the file of the object store's credentials, {}, {message}", path.display())]
    Credentials { path: PathBuf, message: String },
    #[error(transparent)]
    MasterKey(#[from] lumadb_control_plane::identity::master_keys::MasterKeyError),
    #[error("the key that secrets are sealed with: {0}")]
    SealKey(#[from] ArchiveKeyError),
    #[error(transparent)]
    Stripe(#[from] lumadb_billing::stripe::InvalidSetting),
    #[error(transparent)]
    StripeFake(#[from] lumadb_stripe_fake::ServeError),
    #[error(transparent)]
    Kubernetes(#[from] lumadb_operator::ConnectError),
    #[error(transparent)]
    Cluster(#[from] lumadb_control_plane::runtime::kubernetes::OpenError),
    #[error(transparent)]
    Operator(#[from] lumadb_operator::reconcile::OperatorError),
    #[error(
        "operator.parent (LUMADB_OPERATOR_PARENT) is not right: `{0}` is not of the form https://host:port"
    )]
    OperatorParent(String),
    #[error("{}", with_cause(.0))]
    ObjectStore(#[from] lumadb_s3_server::ServeError),
}

/// An error and what is behind it, on one line.
pub(crate) fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The console's address as browsers reach it, without a slash at the end.
pub(crate) fn console_url(config: &Config, listen: SocketAddr) -> String {
    match &config.http.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("http://{}", crate::up::reachable(listen)),
    }
}

/// The control plane's parts for one process of at most so many database connections.
pub(crate) async fn platform(
    data: &DataFolder,
    config: &Config,
    connections_max: u32,
) -> Result<Platform, ServiceError> {
    let files = KeyFiles::new(data.keys());
    let archives = object_store::archives(&files, &config.object_store, &config.kms)?;
    let store = Store::open(database::application(data, config), connections_max);
    let keys = Keys {
        seal_key: rewrap::seal_key(&store, &archives.master_keys).await?,
        service_signer: ServiceSigner::load(&files.api_private())?,
        edge_verifier: ServiceVerifier::load(&files.edge_public())?,
        archives: Some(archives),
    };
    // Clients need to be told of no authority that they know anyway.
    let authority = match config.edge.certificate_file {
        None => Some(read(data.authority().join("ca.pem"))?),
        Some(_) => None,
    };
    let settings = Settings {
        outbox_folder: config.mail.smtp_url_file.is_none().then(|| data.outbox()),
        ca_certificate_pem: authority,
        edge_socket_folder: Some(data.edge_sessions()),
        default_region: config.region.name.clone(),
        trusted_proxies: config.http.trusted_proxies.clone(),
        limits: config.limits.limits(),
        billing_clock_moves: config.billing.clock_moves,
        seller: config.billing.seller(),
        quotas: config.quotas.quotas(),
        ..Settings::default()
    };
    let links = Links {
        console_url: console_url(config, config.http.listen),
    };
    let mut platform = Platform::new(store, Clock::system(), links, keys, settings)?;
    platform.stripe = stripe::account(&files, &config.stripe)?;
    if platform.stripe.is_some() {
        let collection = StripeCollection::new(platform.clock.clone());
        platform.collection = Some(Arc::new(collection));
    }
    Ok(platform)
}

fn read(path: PathBuf) -> Result<String, ServiceError> {
    std::fs::read_to_string(&path).map_err(|source| ServiceError::File { path, source })
}

/// How a service was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// SIGTERM: another one takes over.
    Leave,
    /// SIGINT: everything stops.
    End,
}

/// Catches both signals from now on.
struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, ServiceError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(ServiceError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(ServiceError::Signals)?,
        })
    }

    async fn told(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Leave,
            _ = self.interrupt.recv() => Told::End,
        }
    }
}
