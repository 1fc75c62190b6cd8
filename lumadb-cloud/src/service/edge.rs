//! `lumadb-cloud edge`: where clients connect to databases.

use super::{ServiceError, StopSignals, read};
use crate::config::{Config, PlaintextFrom};
use crate::keys::KeyFiles;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::runtime::local::authority::Authority;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_data_plane::batch;
use lumadb_data_plane::edge::{Edge, EdgeConfig, EdgeLimits, NodeTls, NodeTlsSource, Plaintext};
use lumadb_data_plane::sending;
use std::io;
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

fn edge_config(data: &DataFolder, config: &Config) -> Result<EdgeConfig, ServiceError> {
    let keys = KeyFiles::new(data.keys());
    let host = &config.edge.host;
    // A certificate is issued at each start: it outlives the process, and its key is nowhere else.
    let mut names = vec![host.clone(), format!("*.{host}"), "localhost".into()];
    names.extend(["127.0.0.1".into(), "::1".into()]);
    names.dedup();
    let now = now();
    let tls = Authority::open(&data.authority(), now)?.issue(&names, now)?;
    Ok(EdgeConfig {
        region: config.region.name.clone(),
        listen: vec![config.edge.listen],
        sql_socket: Some(data.edge_sessions().join(".s.PGSQL.5432")),
        control_socket: data.edge_control_socket(),
        signing_key_pem: Secret::new(read(keys.edge_private())?),
        sql_token_key_pem: read(keys.api_public())?,
        tls: Some(tls),
        nodes: Some(nodes(data, config)),
        plaintext: match config.edge.plaintext {
            PlaintextFrom::Nobody => Plaintext::Refused,
            PlaintextFrom::Loopback => Plaintext::FromLoopback,
            PlaintextFrom::Everybody => Plaintext::Allowed,
        },
        hand_over: config.edge.hand_over,
        routes_file: Some(data.run().join("routes.json")),
        metrics_listen: config.edge.metrics_listen,
        limits: EdgeLimits {
            sessions_max: config.edge.sessions_max,
            ..EdgeLimits::default()
        },
        clock: crate::service::edge::now,
    })
}

/// What nodes of a cluster are dialed with, issued anew whenever the edge asks.
fn nodes(data: &DataFolder, config: &Config) -> NodeTlsSource {
    let (folder, region) = (data.authority(), config.region.name.clone());
    NodeTlsSource::new(move || {
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

fn now() -> OffsetDateTime {
    Clock::system().now()
}
