//! `lumadb-cloud operator`: runs databases in a Kubernetes cluster.

use super::{ServiceError, StopSignals};
use crate::config::Config;
use axum::http::Uri;
use lumadb_operator::reconcile::{Options, run as reconcile};
use lumadb_operator::{Settings, connect};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Runs until it is told to stop, or another operator has taken over.
pub(crate) async fn run(config: &Config) -> Result<(), ServiceError> {
    let mut signals = StopSignals::listen()?;
    let settings = settings(config)?;
    let config = &config.operator;
    let client = connect(config.kubeconfig.as_deref()).await?;
    let listening = TcpListener::bind(config.listen).await;
    let health = listening.map_err(|source| ServiceError::Listen {
        address: config.listen,
        source,
    })?;
    if let Ok(address) = health.local_addr() {
        tracing::info!(%address, "the operator works; health and metrics are here");
    }
    let options = Options {
        namespace: config.namespace.clone(),
        identity: config.identity.clone().unwrap_or_else(identity),
        concurrency: config.concurrency,
        health: Some(health),
        parent_listen: config.parent_listen,
    };
    let shutdown = CancellationToken::new();
    let working = reconcile(client, settings, options, shutdown.clone());
    tokio::pin!(working);
    tokio::select! {
        result = &mut working => result?,
        _ = signals.told() => {
            shutdown.cancel();
            working.await?;
        }
    }
    Ok(())
}

fn settings(config: &Config) -> Result<Settings, ServiceError> {
    let operator = &config.operator;
    let wrong = || ServiceError::OperatorParent(operator.parent.clone());
    let address: Uri = operator.parent.parse().map_err(|_| wrong())?;
    let host = address.host().ok_or_else(wrong)?;
    let parent_port = address.port_u16().ok_or_else(wrong)?;
    if address.scheme_str() != Some("https") {
        return Err(wrong());
    }
    Ok(Settings {
        system_namespace: operator.system_namespace.clone(),
        monitoring_namespace: operator.monitoring_namespace.clone(),
        image: operator.image.clone(),
        parent: operator.parent.clone(),
        // An address of IPv6 stands in brackets there.
        parent_host: host.trim_matches(['[', ']']).to_owned(),
        parent_port,
        node_authority: String::new(),
        object_store_networks: operator.object_store_networks.clone(),
        object_store_port: operator.object_store_port,
    })
}

/// Host and process: no two operators have it in common.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_a_host_and_a_port() {
        let with = |parent: &str| {
            let mut config = Config::default();
            config.operator.parent = parent.into();
            settings(&config)
        };
        let right = with("https://operator.system.svc:8443").expect("right");
        assert_eq!(right.parent_port, 8443);
        assert!(settings(&Config::default()).is_ok());
        for wrong in ["", "https://operator", "8443", "http://operator:8443"] {
            let error = with(wrong).expect_err("wrong").to_string();
            assert!(error.contains("LUMADB_OPERATOR_PARENT"), "{error}");
        }
    }
}
