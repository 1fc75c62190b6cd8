//! From an authenticated client to its database: dialing the node, waking it, cancelling.

use super::connection::{Refused, Shared, Visitor};
use super::metrics::Outcome;
use super::node::{NodeError, NodeStream};
use crate::protocol::postgres::startup::CancelRequest;
use crate::protocol::postgres::wire::sqlstate;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lumadb_contract::handoff::{self, Opening, Verdict};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::{NodeAddress, RouteState};
use lumadb_contract::secret::Secret;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Bounds of the pause before a node that was not ready is dialed again.
const DIAL_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// A node that is not reached for this long at one address is not waited for.
const LOST_AFTER: Duration = Duration::from_secs(4);

impl Shared {
    /// Opens the session at the node, waking the database as often as it takes within the time.
    pub(super) async fn reach(&self, visitor: &Visitor) -> Result<NodeStream, Refused> {
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
        let mut lost = Lost::default();
        loop {
            match &known.route.state {
                RouteState::Suspended => return Err(suspended(id)),
                RouteState::Awake { node } | RouteState::Starting { node } => {
                    let dialed = tokio::select! {
                        dialed = self.dialer.dial(node, id, &opening) => dialed,
                        // The address of a pod that is gone swallows whatever is sent there.
                        () = self.locator.led_elsewhere(id, node) => {
                            known = self.locator.cached(id).ok_or_else(|| self.unknown(id))?;
                            continue;
                        }
                    };
                    match dialed {
                        Ok((stream, Verdict::Accepted)) => return Ok(stream),
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
                        Ok(_) | Err(NodeError::Unreachable(_)) => lost.found(),
                        Err(
                            error @ (NodeError::Silent(_)
                            | NodeError::Disbelief(_)
                            | NodeError::NoIdentity),
                        ) => {
                            if lost.is_lost(node, Instant::now()) {
                                tracing::warn!(%error, %id, ?node, "a node is out of reach");
                                return Err(out_of_reach(id));
                            }
                        }
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
        if let Err(error) = self
            .dialer
            .dial(node, known.route.database_id, &opening)
            .await
        {
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

fn out_of_reach(id: DatabaseId) -> Refused {
    Refused::new(
        Outcome::Unreachable,
        sqlstate::CANNOT_CONNECT_NOW,
        format!(
            "database {id} runs, but this edge does not reach its node: connect where its \
             connection string says, or ask the operator of this region"
        ),
    )
}

/// Since when an address has not been reached. A node that was replaced has another one soon.
#[derive(Debug, Default)]
struct Lost(Option<(NodeAddress, Instant)>);

impl Lost {
    fn found(&mut self) {
        self.0 = None;
    }

    /// Whether this address has been out of reach for long enough to say so.
    fn is_lost(&mut self, address: &NodeAddress, now: Instant) -> bool {
        match &self.0 {
            Some((lost, since)) if lost == address => now - *since >= LOST_AFTER,
            _ => {
                self.0 = Some((address.clone(), now));
                false
            }
        }
    }
}

fn not_now(id: DatabaseId) -> Refused {
    Refused::new(
        Outcome::Unreachable,
        sqlstate::CANNOT_CONNECT_NOW,
        format!("database {id} is not ready to take connections: try again in a moment"),
    )
}
