//! `lumadb-cloud edge`: where clients connect to databases.

use super::{ServiceError, StopSignals, read};
use crate::config::{Config, PlaintextFrom};
use crate::keys::KeyFiles;
use lumadb_contract::cluster::edge_secret;
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::runtime::local::authority::Authority;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_data_plane::batch;
use lumadb_data_plane::edge::{
    ControlPlane, Edge, EdgeConfig, EdgeLimits, NodeTls, Plaintext, Source, SqlDoor, SqlEntrance,
};
use lumadb_data_plane::sending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

/// Runs on one thread, as relays are fastest.
pub(crate) async fn run(data: &DataFolder, config: &Config) -> Result<(), ServiceError> {
    batch::enter();
    sending::gather();
    let mut signals = StopSignals::listen()?;
    let edge = Edge::bind(edge_config(data, config)?).await?;
    tracing::info!(addresses = ?edge.addresses(), "the edge serves");
    let shutdown = CancellationToken::new();
    let serving = edge.run(shutdown.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        _ = signals.told() => {
            shutdown.cancel();
            serving.await;
        }
    }
    Ok(())
}

/// What an edge has by where it runs.
struct Place {
    control: ControlPlane,
    sql: Option<SqlDoor>,
    tls: Source<TlsIdentity>,
    nodes: Source<NodeTls>,
    hand_over: bool,
}

/// Beside the control plane: by what lies in the data folder.
fn here(data: &DataFolder, config: &Config) -> Result<Place, ServiceError> {
    let keys = KeyFiles::new(data.keys());
    let own = own_certificate(config);
    let token_key = read(keys.api_public())?;
    Ok(Place {
        control: ControlPlane::Here {
            socket: data.edge_control_socket(),
            signing_key_pem: Secret::new(read(keys.edge_private())?),
        },
        sql: Some(SqlDoor {
            entrance: SqlEntrance::Socket(data.edge_sessions().join(".s.PGSQL.5432")),
            token_key: Source::new(move || Ok(token_key.clone())),
        }),
        // A node that is handed a socket shows a certificate of the data folder's authority.
        hand_over: config.edge.hand_over && own.is_none(),
        tls: own.unwrap_or_else(|| issued(data, config)),
        nodes: nodes(data, config),
    })
}

/// In a region's cluster: by what the control plane laid down there. The data folder holds nothing
/// but the routes.
fn elsewhere(data: &DataFolder, config: &Config, folder: &Path) -> Result<Place, ServiceError> {
    let run = data.run();
    std::fs::create_dir_all(&run).map_err(|source| ServiceError::File { path: run, source })?;
    let laid_down = || {
        let (chain, key) = (edge_secret::SERVER_CERTIFICATE, edge_secret::SERVER_KEY);
        identity_by_files(folder.join(chain), folder.join(key))
    };
    let token_key = folder.join(edge_secret::SQL_TOKEN_KEY);
    Ok(Place {
        control: ControlPlane::Elsewhere {
            folder: folder.to_owned(),
        },
        sql: Some(SqlDoor {
            entrance: SqlEntrance::WithClients,
            token_key: Source::new(move || text_of(&token_key)),
        }),
        tls: own_certificate(config).unwrap_or_else(laid_down),
        nodes: nodes_by_files(folder.to_owned()),
        // No node is on this machine.
        hand_over: false,
    })
}

/// The certificate for clients, where one is named.
fn own_certificate(config: &Config) -> Option<Source<TlsIdentity>> {
    let chain = config.edge.certificate_file.clone()?;
    let key = config.edge.key_file.clone()?;
    Some(identity_by_files(chain, key))
}

/// One of the data folder's authority. This process alone has its key.
fn issued(data: &DataFolder, config: &Config) -> Source<TlsIdentity> {
    let host = &config.edge.host;
    let mut names = vec![host.clone(), format!("*.{host}"), "localhost".into()];
    names.extend(["127.0.0.1".into(), "::1".into()]);
    names.dedup();
    let folder = data.authority();
    Source::new(move || {
        let now = now();
        let authority = Authority::open(&folder, now).map_err(io::Error::other)?;
        authority.issue(&names, now).map_err(io::Error::other)
    })
}

fn edge_config(data: &DataFolder, config: &Config) -> Result<EdgeConfig, ServiceError> {
    let place = match &config.edge.control_dir {
        None => here(data, config)?,
        Some(folder) => elsewhere(data, config, folder)?,
    };
    Ok(EdgeConfig {
        region: config.region.name.clone(),
        listen: vec![config.edge.listen],
        sql: place.sql,
        control: place.control,
        tls: Some(place.tls),
        nodes: Some(place.nodes),
        plaintext: match config.edge.plaintext {
            PlaintextFrom::Nobody => Plaintext::Refused,
            PlaintextFrom::Loopback => Plaintext::FromLoopback,
            PlaintextFrom::Everybody => Plaintext::Allowed,
        },
        hand_over: place.hand_over,
        routes_file: Some(data.run().join("routes.json")),
        metrics_listen: config.edge.metrics_listen,
        limits: EdgeLimits {
            sessions_max: config.edge.sessions_max,
            leave_delay: Duration::from_secs(config.edge.leave_seconds),
            ..EdgeLimits::default()
        },
        clock: crate::service::edge::now,
    })
}

/// What nodes of a cluster are dialed with, issued anew whenever the edge asks.
fn nodes(data: &DataFolder, config: &Config) -> Source<NodeTls> {
    let (folder, region) = (data.authority(), config.region.name.clone());
    Source::new(move || {
        let now = now();
        let authority = Authority::open(&folder, now).map_err(io::Error::other)?;
        Ok(NodeTls {
            authority_pem: authority.certificate_pem().to_owned(),
            identity: authority
                .issue_edge(&region, now)
                .map_err(io::Error::other)?,
        })
    })
}

/// The same as the files of a folder say at that moment.
fn nodes_by_files(folder: PathBuf) -> Source<NodeTls> {
    let (chain, key) = (edge_secret::CERTIFICATE, edge_secret::KEY);
    let identity = identity_by_files(folder.join(chain), folder.join(key));
    Source::new(move || {
        Ok(NodeTls {
            authority_pem: text_of(&folder.join(edge_secret::NODES_AUTHORITY))?,
            identity: identity.read()?,
        })
    })
}

fn identity_by_files(chain: PathBuf, key: PathBuf) -> Source<TlsIdentity> {
    Source::new(move || {
        Ok(TlsIdentity {
            certificate_chain_pem: text_of(&chain)?,
            private_key_pem: Secret::new(text_of(&key)?),
        })
    })
}

fn text_of(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

fn now() -> OffsetDateTime {
    Clock::system().now()
}
