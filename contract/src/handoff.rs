//! What an edge says to a node when it hands on a client's connection.
//!
//! The edge opens one connection to the node's socket for each client and writes one frame: the
//! length of a JSON document (4 bytes, big endian), then an [`Opening`]. The node answers with one
//! frame holding a [`Verdict`], and for [`Opening::Session`] the bytes of the PostgreSQL protocol
//! follow on the same connection.

use crate::name::PgName;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Largest frame, bytes: a start-up packet of PostgreSQL has at most 10,000.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// The edge authenticated this client and relays its bytes; the node answers as the engine
    /// would from AuthenticationOk on.
    Session(Session),
    /// The client's socket itself travels with this frame (`SCM_RIGHTS`): the node authenticates
    /// and serves it, and the edge is out of the way. The verdict comes after authentication.
    Socket(Socket),
    /// A cancel request for a connection of this node's.
    Cancel(Cancel),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub role: PgName,
    /// Minor version of protocol 3 that the client asked for: 0 or 2.
    pub protocol_minor: u16,
    /// Start-up parameters in the client's order, `user` left out; `database` is the logical one.
    pub parameters: Vec<(String, String)>,
    pub client_address: Option<SocketAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    pub stage: SocketStage,
    pub client_address: Option<SocketAddr>,
}

/// What the client sends next on a socket that is handed over; nothing beyond it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketStage {
    /// A TLS ClientHello (after SSLRequest and its `S`, or at once: direct TLS).
    ClientHello { direct: bool },
    /// A start-up packet in the clear.
    Startup,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The secret of the cancel key, 4 to 256 bytes, in base64.
    pub key: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on. For a socket: the client is authenticated.
    Accepted,
    /// Every connection that the plan admits is taken.
    TooManyConnections,
    /// The engine does not take connections now; ask for the route again.
    NotReady,
    /// For a socket: the client failed to authenticate. It has been told.
    AuthenticationFailed,
    /// The node cannot serve this socket (it has no certificate); the edge keeps it.
    Unsupported,
}
