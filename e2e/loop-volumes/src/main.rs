//! `lumadb-loop-volumes`: serves volumes over loop devices to the kubelet of one machine, as root. It
//! is started by `make kube`.

use clap::Parser;
use lumadb_loop_volumes::{Driver, ServeError};
use std::path::PathBuf;

/// A driver of volumes for the cluster of `make kube`: sparse files with a file system, by loop devices.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the volumes' files
    #[arg(long)]
    volumes: PathBuf,
    /// Folder of kubelet
    #[arg(long)]
    kubelet: PathBuf,
    /// Name of this machine in the cluster
    #[arg(long)]
    node: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), ServeError> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_ansi(false).init();
    let driver = Driver {
        volumes: arguments.volumes,
        kubelet: arguments.kubelet,
        node: arguments.node,
    };
    driver.serve().await
}
