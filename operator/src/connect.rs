//! How the API server is reached.

use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the kubeconfig {} is not right: {source}", path.display())]
    Kubeconfig {
        path: PathBuf,
        source: KubeconfigError,
    },
    #[error(
        "no cluster is known: give a kubeconfig, or run inside of a cluster with a service account: {0}"
    )]
    Unknown(#[from] Box<InferConfigError>),
    #[error("the cluster's API server cannot be used: {0}")]
    Client(#[from] Box<kube::Error>),
}

/// A client by a kubeconfig or, without one, by what the environment says: the service account of
/// the pod that this runs in, `KUBECONFIG`, `~/.kube/config`. Nothing is asked of the server yet.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let config = match kubeconfig {
        Some(path) => by_kubeconfig(path)
            .await
            .map_err(|source| ConnectError::Kubeconfig {
                path: path.to_owned(),
                source,
            })?,
        None => Config::infer().await.map_err(Box::new)?,
    };
    Ok(Client::try_from(config).map_err(Box::new)?)
}

async fn by_kubeconfig(path: &Path) -> Result<Config, KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}
