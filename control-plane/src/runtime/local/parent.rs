//! The parent of nodes on this machine: a unix socket, whose other end the kernel names.

use super::super::Reports;
use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::rpc::NodeParentServer;
use lumadb_contract::stream::NodeHello;
use lumadb_contract::usage::{BATCH_SAMPLES_MAX, UsageSample};
use lumadb_parent::{Identity, Intake, Refused, Stored};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::Extensions;
use tonic::transport::server::UdsConnectInfo;

pub use lumadb_parent::Seen;

/// One database whose node may attach.
pub type Expected = lumadb_parent::Expected<NodeUser>;

/// The parent of every node of one process.
pub type Parent = lumadb_parent::Parent<NodeUser, SampleSink>;

/// Wait before a batch that could not be stored is tried again; doubles up to the second.
const STORE_RETRY_FIRST: Duration = Duration::from_millis(200);
const STORE_RETRY_MAX: Duration = Duration::from_secs(5);

/// Most samples of one transaction.
pub const SAMPLES_AT_ONCE_MAX: usize = 16 * BATCH_SAMPLES_MAX;

/// The user that a node runs as; `None`: our own.
#[derive(Debug, Clone, Copy)]
pub struct NodeUser(pub Option<u32>);

impl Identity for NodeUser {
    type Shown = Option<u32>;

    fn shown(connection: &Extensions) -> Option<u32> {
        let peer = connection.get::<UdsConnectInfo>()?.peer_cred?;
        Some(peer.uid())
    }

    fn admit(&self, shown: &Option<u32>, _hello: &NodeHello) -> Result<(), &'static str> {
        let own = nix::unistd::geteuid().as_raw();
        if *shown == Some(self.0.unwrap_or(own)) {
            Ok(())
        } else {
            Err("this database has another user")
        }
    }
}

/// Where samples go.
#[derive(Debug, Clone)]
pub enum SampleSink {
    Reports(Reports),
    /// Nobody is charged for this instance: its samples are acknowledged and forgotten.
    Discard,
}

impl Intake for SampleSink {
    /// A transaction costs as much as several hundred samples in it.
    const SAMPLES_AT_ONCE_MAX: usize = SAMPLES_AT_ONCE_MAX;

    /// Without an answer a node asks again; where nobody is charged there are no limits, and none
    /// is given.
    async fn allowance(
        &self,
        database: DatabaseId,
        request: &AllowanceRequest,
    ) -> Option<Allowance> {
        let Self::Reports(reports) = self else {
            return None;
        };
        match reports.allowance(database, request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%database, %error, "a node was not told its limits");
                None
            }
        }
    }

    async fn store(
        &self,
        database: DatabaseId,
        samples: &[UsageSample],
    ) -> Result<Stored, Refused> {
        let reports = match self {
            Self::Reports(reports) => reports,
            Self::Discard => {
                let mut stored: HashMap<IncarnationId, u64> = HashMap::new();
                for sample in samples {
                    let high = stored.entry(sample.incarnation_id).or_default();
                    *high = sample.sequence.max(*high);
                }
                return Ok(stored.into_iter().collect());
            }
        };
        let mut wait = STORE_RETRY_FIRST;
        loop {
            match reports.samples(database, samples).await {
                Ok(stored) => return Ok(stored),
                Err(error) if error.is_transient() => {
                    tracing::warn!(%database, %error, "samples wait for the database");
                }
                Err(error) => {
                    // Kept by the node: what is wrong with it must be seen, not dropped.
                    tracing::error!(%database, %error, "samples were refused");
                    return Err(Refused);
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(STORE_RETRY_MAX);
        }
    }
}

/// Takes a socket that every user may connect to: who it is, the kernel says.
pub fn parent_listen(socket: &Path) -> io::Result<UnixListener> {
    super::files::remove_file(socket)?;
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Serves until dropped: streams have no end of their own to wait for.
pub async fn parent_serve(parent: Parent, listener: UnixListener) -> io::Result<()> {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(NodeParentServer::new(parent))
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await
        .map_err(io::Error::other)
}
