//! `lumadb-cloud api`: the HTTP API, the web console, and what edges ask.

use super::{ServiceError, StopSignals, platform};
use crate::config::Config;
use lumadb_control_plane::http::{self, ApiState};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::workflow::edge_control;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Connections of this process to the control plane's database.
const CONNECTIONS_MAX: u32 = 20;

pub(crate) async fn run(data: &DataFolder, config: &Config) -> Result<(), ServiceError> {
    let mut signals = StopSignals::listen()?;
    let platform = platform(data, config, CONNECTIONS_MAX).await?;
    let address = config.http.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServiceError::Listen { address, source })?;
    let shutdown = CancellationToken::new();
    let edges = tokio::spawn({
        let (platform, shutdown) = (platform.clone(), shutdown.clone());
        let socket = data.edge_control_socket();
        async move { edge_control::serve(platform, &socket, shutdown).await }
    });
    let router = http::router_with_console(&ApiState::new(platform), lumadb_web_console::router());
    tracing::info!(%address, "the API serves");
    let serving = tokio::spawn(http::serve(
        listener,
        router,
        shutdown.clone().cancelled_owned(),
    ));
    tokio::pin!(edges);
    tokio::select! {
        _ = signals.told() => {}
        ended = &mut edges => {
            // It ends only when it cannot serve: without routes edges are blind, so start anew.
            if let Ok(Err(error)) = ended {
                return Err(error.into());
            }
        }
    }
    shutdown.cancel();
    let _ = serving.await;
    Ok(())
}
