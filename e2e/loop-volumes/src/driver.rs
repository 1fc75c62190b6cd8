//! The driver's two sockets: one for everybody who speaks CSI, and one by which kubelet finds it.

use crate::NAME;
use crate::controller::ControllerService;
use crate::csi::{ControllerServer, IdentityServer, NodeServer};
use crate::folder::Folder;
use crate::identity::IdentityService;
use crate::kubelet::{Introduction, RegistrationServer};
use crate::node::NodeService;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::Mutex;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

/// Why the driver cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{}", place.display())]
    Place { place: PathBuf, source: io::Error },
    #[error("a socket broke")]
    Socket(#[from] tonic::transport::Error),
}

impl ServeError {
    fn at(place: &Path) -> impl FnOnce(io::Error) -> Self {
        let place = place.to_owned();
        move |source| Self::Place { place, source }
    }
}

/// A driver of one machine.
#[derive(Debug)]
pub struct Driver {
    /// Where the volumes' files lie.
    pub volumes: PathBuf,
    /// The folder of kubelet, its `--root-dir`.
    pub kubelet: PathBuf,
    /// The machine's name, as kubelet calls it.
    pub node: String,
}

impl Driver {
    /// Where the driver listens. Kubelet's requests name a socket's path as the authority that they are
    /// for, with its slashes escaped, which is one, as servers here check it, only before an `@`.
    pub fn socket(&self) -> PathBuf {
        self.kubelet
            .join("plugins")
            .join(NAME)
            .join("driver@csi.sock")
    }

    /// Where kubelet finds it.
    pub fn registration(&self) -> PathBuf {
        let name = format!("driver@{NAME}");
        self.kubelet.join("plugins_registry").join(name)
    }

    /// Serves without end.
    ///
    /// # Errors
    ///
    /// Where a folder or a socket cannot be made.
    pub async fn serve(self) -> Result<(), ServeError> {
        let folder = Folder::open(self.volumes.clone()).map_err(ServeError::at(&self.volumes))?;
        let folder = Arc::new(Mutex::new(folder));
        let speaks = listen(&self.socket())?;
        let introduces = listen(&self.registration())?;
        let introduction = Introduction {
            endpoint: self.socket(),
        };
        tracing::info!(socket = %self.socket().display(), "listens");
        let node = NodeService {
            folder: folder.clone(),
            name: self.node,
        };
        let driver = Server::builder()
            .add_service(IdentityServer::new(IdentityService))
            .add_service(ControllerServer::new(ControllerService { folder }))
            .add_service(NodeServer::new(node))
            .serve_with_incoming(UnixListenerStream::new(speaks));
        let registration = Server::builder()
            .add_service(RegistrationServer::new(introduction))
            .serve_with_incoming(UnixListenerStream::new(introduces));
        tokio::try_join!(driver, registration)?;
        Ok(())
    }
}

/// Listens at a socket, in the place of one that a killed driver left.
fn listen(socket: &Path) -> Result<UnixListener, ServeError> {
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder).map_err(ServeError::at(folder))?;
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => UnixListener::bind(socket),
    }
    .map_err(ServeError::at(socket))
}
