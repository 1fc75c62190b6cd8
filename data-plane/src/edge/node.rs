//! Reaching a node from the edge.

use crate::protocol::postgres::handover::{HandoverError, read_verdict, write_opening};
use lumadb_contract::handoff::{Opening, Verdict};
use lumadb_contract::route::NodeAddress;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;
use tokio::net::UnixStream;

/// Longest time for a node's verdict on a session: the engine starts a process for it.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(40);

#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    /// Nobody is there: the route is older than the node's end.
    #[error("the node cannot be reached: {0}")]
    Unreachable(io::Error),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error("the node gave no verdict in time")]
    Timeout,
}

/// Opens a connection to the node, says what it is for and hears the verdict.
pub(super) async fn dial(
    address: &NodeAddress,
    opening: &Opening,
    socket: Option<BorrowedFd<'_>>,
) -> Result<(UnixStream, Verdict), NodeError> {
    let path = match address {
        NodeAddress::Unix(path) => path,
        NodeAddress::Cluster { .. } => {
            return Err(NodeError::Unreachable(io::ErrorKind::Unsupported.into()));
        }
    };
    let mut stream = UnixStream::connect(path)
        .await
        .map_err(NodeError::Unreachable)?;
    let exchange = async {
        write_opening(&mut stream, opening, socket).await?;
        read_verdict(&mut stream).await
    };
    let verdict = tokio::time::timeout(VERDICT_TIMEOUT, exchange)
        .await
        .map_err(|_| NodeError::Timeout)??;
    Ok((stream, verdict))
}
