//! From an authenticated client to its database: dialing the node, waking it, cancelling.

use super::connection::{Refused, Shared, Visitor};
use super::metrics::Outcome;
use super::node::{self, NodeError};
use crate::protocol::postgres::quiet::QuietStream;
use crate::protocol::postgres::startup::CancelRequest;
use crate::protocol::postgres::wire::sqlstate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lumadb_contract::handoff::{self, Opening, Verdict};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::RouteState;
use lumadb_contract::secret::Secret;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Bounds of the pause before a node that was not ready is dialed again.
const DIAL_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

impl Shared {
    /// Opens the session at the node, waking the database as often as it takes within the time.
    pub(super) async fn reach(&self, visitor: &Visitor) -> Result<QuietStream, Refused> {
        let id = visitor.label.database_id;
        let opening = Opening::Session(handoff::Session {
            role: visitor.role.clone(),
            protocol_minor: visitor.startup.spoken_minor(),
            parameters: visitor.target.parameters.clone(),
            client_address: visitor.address,
        });
        let deadline = Instant::now() + self.limits.wake_timeout;
        let (mut pause, pause_max) = DIAL_AGAIN;
        let mut known = visitor.known.clone();
        loop {
            match &known.route.state {
                RouteState::Suspended => return Err(suspended(id)),
                RouteState::Inside { host, port } => return Err(inside(id, host, *port)),
                RouteState::Awake { node } | RouteState::Starting { node } => {
                    match node::dial(node, &opening, None).await {
                        Ok((stream, Verdict::Accepted)) => match QuietStream::new(stream) {
                            Ok(stream) => return Ok(stream),
                            Err(error) => {
                                tracing::warn!(%error, %id, "a session was not registered");
                            }
                        },
                        Ok((_, Verdict::TooManyConnections)) => {
                            return Err(Refused::new(
                                Outcome::TooManyConnections,
                                sqlstate::TOO_MANY_CONNECTIONS,
                                format!(
                                    "too many connections: all {} of database {id} are in use",
                                    known.route.connections_max
                                ),
                            ));
                        }
                        Ok(_) | Err(NodeError::Unreachable(_)) => {}
                        Err(error) => tracing::warn!(%error, %id, "a node did not take a session"),
                    }
                }
                RouteState::Asleep | RouteState::Pending => {}
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(not_now(id));
            }
            let had_node = known.route.state.node().is_some();
            match timeout(remaining, self.locator.wake(id)).await {
                Ok(Ok(Some(woken))) => known = woken,
                Ok(Ok(None)) => return Err(self.unknown(id)),
                // A node that is restarting comes back without the control plane, too.
                Ok(Err(())) if had_node => {}
                Ok(Err(())) | Err(_) => return Err(not_now(id)),
            }
            if had_node {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(pause_max);
            }
        }
    }

    pub(super) async fn cancel(&self, request: &CancelRequest) {
        self.metrics.count(Outcome::Cancel);
        let number = request.process_id.cast_unsigned();
        let Some(known) = self.locator.table().by_number(number) else {
            return;
        };
        let Some(node) = known.route.state.node() else {
            return;
        };
        let opening = Opening::Cancel(handoff::Cancel {
            key: Secret::new(BASE64.encode(&request.secret)),
        });
        if let Err(error) = node::dial(node, &opening, None).await {
            tracing::debug!(%error, "a cancel request did not reach its node");
        }
    }
}

fn suspended(id: DatabaseId) -> Refused {
    Refused::new(
        Outcome::Suspended,
        sqlstate::CANNOT_CONNECT_NOW,
        format!("database {id} is suspended: resume it to connect"),
    )
}

fn inside(id: DatabaseId, host: &str, port: u16) -> Refused {
    Refused::new(
        Outcome::Unreachable,
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("database {id} is reached inside of its cluster only, at {host}:{port}"),
    )
}

fn not_now(id: DatabaseId) -> Refused {
    Refused::new(
        Outcome::Unreachable,
        sqlstate::CANNOT_CONNECT_NOW,
        format!("database {id} is not ready to take connections: try again in a moment"),
    )
}
