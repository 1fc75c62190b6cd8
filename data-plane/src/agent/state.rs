//! What the protocol servers of a node share: whom they admit, and where the engine is.

use crate::gate::Gate;
use crate::metering::Counters;
use lumadb_contract::archive::Durability;
use lumadb_contract::edge_link::EdgeTrust;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstanceSpec, TlsIdentity};
use lumadb_contract::name::PgName;
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::scram::ScramVerifier;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// What becomes of client connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sessions {
    /// Nothing says that the engine shall run, or it is to stop: new ones are refused, open ones
    /// live or die with their own connection to the engine.
    #[default]
    NotReady,
    /// The engine is on its way: new ones wait for it.
    Awaited,
    /// New ones are taken.
    Accepted,
    /// The engine is about to restart, or does, or sessions are to begin anew: new ones wait, open ones end between transactions.
    Restarting,
    /// The database is about to be stopped: new ones are refused, open ones end between
    /// transactions.
    Leaving,
    /// New ones are refused and open ones end now (the database is suspended, or the node leaves).
    Ended,
}

/// Who is served, and how. Replaced as a whole at each change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {
    pub sessions: Sessions,
    pub connections_max: u16,
    /// The database whose clients come here; `None`: no spec has said it yet.
    pub database_id: Option<DatabaseId>,
    /// Stands in the process-ID field of the cancel keys given to clients.
    pub route_number: u32,
    /// Every role that may log in. A session whose role is no longer here, or has another verifier
    /// than when it was admitted, ends.
    pub roles: BTreeMap<PgName, ScramVerifier>,
    /// Where clients that come in here may be: one that is not ends, too.
    pub allowed_networks: AllowedNetworks,
    pub tls: Option<TlsIdentity>,
    /// Edges on other machines that are believed.
    pub edges: Option<EdgeTrust>,
    /// New sessions hear of nothing before it is archived.
    pub gated: bool,
}

impl Serving {
    /// What a spec asks for, with connections not yet taken.
    pub fn of_spec(spec: &InstanceSpec) -> Self {
        Self {
            sessions: Sessions::NotReady,
            connections_max: spec.connections_max,
            database_id: Some(spec.serves()),
            route_number: spec.route_number,
            roles: spec
                .roles
                .iter()
                .map(|role| (role.name.clone(), role.verifier.clone()))
                .collect(),
            allowed_networks: spec.allowed_networks.clone(),
            tls: spec.tls.clone(),
            edges: spec.edges.clone(),
            gated: spec
                .archive
                .as_ref()
                .is_some_and(|archive| archive.durability == Durability::S3),
        }
    }
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the database is not ready to take connections")]
    NotReady,
    #[error("all {connections_max} connections of this database are in use")]
    TooManyConnections { connections_max: u16 },
}

/// Shared by every connection of a node; cheap to clone behind its [`Arc`].
#[derive(Debug)]
pub struct NodeState {
    engine_socket: PathBuf,
    counters: Counters,
    gate: Arc<Gate>,
    serving: watch::Sender<Arc<Serving>>,
    connections: watch::Sender<u32>,
}

impl NodeState {
    /// `engine_socket` is PostgreSQL's own, such as `…/run/.s.PGSQL.5432`.
    pub fn new(engine_socket: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            engine_socket,
            counters: Counters::default(),
            gate: Arc::default(),
            serving: watch::Sender::new(Arc::new(Serving::default())),
            connections: watch::Sender::new(0),
        })
    }

    pub fn engine_socket(&self) -> &Path {
        &self.engine_socket
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Who is served now.
    pub fn serving(&self) -> Arc<Serving> {
        self.serving.borrow().clone()
    }

    /// Who is served now, and every later change of it.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Serving>> {
        self.serving.subscribe()
    }

    /// Replaces who is served. Sessions learn of it through [`Self::subscribe`].
    pub fn serve(&self, serving: Serving) {
        self.serving.send_if_modified(|current| {
            let changed = **current != serving;
            if changed {
                *current = Arc::new(serving);
            }
            changed
        });
    }

    /// Stops taking connections if none is open; answers whether it did. Nothing is admitted
    /// between the look and the change.
    pub fn close_if_idle(&self) -> bool {
        let mut closed = false;
        self.serving.send_if_modified(|current| {
            closed = self.counters.connections() == 0;
            let open = matches!(
                current.sessions,
                Sessions::Accepted | Sessions::Awaited | Sessions::Restarting
            );
            if closed && open {
                Arc::make_mut(current).sessions = Sessions::NotReady;
            }
            closed && open
        });
        closed
    }

    /// Counts a client connection in, or says why not. Dropping the [`Admission`] counts it out.
    /// Called after authentication; a cancel request needs none.
    pub fn admit(self: &Arc<Self>) -> Result<Admission, Refusal> {
        // Holding the watch's lock orders this against `close_if_idle`.
        let serving = self.serving.borrow();
        if serving.sessions != Sessions::Accepted {
            return Err(Refusal::NotReady);
        }
        let open = self.counters.connections();
        if open >= u32::from(serving.connections_max) {
            let connections_max = serving.connections_max;
            return Err(Refusal::TooManyConnections { connections_max });
        }
        self.connections
            .send_replace(self.counters.connection_opened());
        drop(serving);
        Ok(Admission {
            state: self.clone(),
        })
    }

    /// As [`Self::admit`], waiting up to `longest` for an engine that is on its way.
    pub async fn admit_awaited(self: &Arc<Self>, longest: Duration) -> Result<Admission, Refusal> {
        let mut serving = self.subscribe();
        let on_its_way = |serving: &Arc<Serving>| {
            matches!(serving.sessions, Sessions::Awaited | Sessions::Restarting)
        };
        let settled = serving.wait_for(|serving| !on_its_way(serving));
        // In any case it is the state that says whether there is a place.
        let _ = timeout(longest, settled).await;
        self.admit()
    }

    /// How many client connections are open, and that one came or went.
    pub(crate) fn connections(&self) -> watch::Receiver<u32> {
        self.connections.subscribe()
    }
}

/// One admitted client connection.
#[derive(Debug)]
#[must_use = "dropping it counts the connection out"]
pub struct Admission {
    state: Arc<NodeState>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        let left = self.state.counters.connection_closed();
        self.state.connections.send_replace(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serving(connections_max: u16) -> Serving {
        Serving {
            sessions: Sessions::Accepted,
            connections_max,
            ..Serving::default()
        }
    }

    #[test]
    fn as_many_connections_as_the_plan_admits_and_no_more() {
        let state = NodeState::new("engine".into());
        assert_eq!(state.admit().err(), Some(Refusal::NotReady));
        state.serve(serving(1));
        let admitted = state.admit().expect("one is free");
        assert_eq!(
            state.admit().err(),
            Some(Refusal::TooManyConnections { connections_max: 1 })
        );
        drop(admitted);
        assert!(state.admit().is_ok());
        assert_eq!(state.counters().snapshot().connections_opened, 2);
    }

    #[test]
    fn a_node_with_a_client_does_not_close_for_sleep() {
        let state = NodeState::new("engine".into());
        state.serve(serving(5));
        let admitted = state.admit().expect("free");
        assert!(!state.close_if_idle());
        drop(admitted);
        assert!(state.close_if_idle());
        assert_eq!(state.admit().err(), Some(Refusal::NotReady));
    }

    #[tokio::test]
    async fn a_client_waits_for_an_engine_on_its_way_and_for_no_other() {
        let state = NodeState::new("engine".into());
        let long = Duration::from_mins(1);
        assert!(state.admit_awaited(long).await.is_err());
        state.serve(Serving {
            sessions: Sessions::Awaited,
            ..serving(1)
        });
        assert!(state.admit_awaited(Duration::from_millis(1)).await.is_err());
        let mut waiting = std::pin::pin!(state.admit_awaited(long));
        assert!(futures::poll!(&mut waiting).is_pending());
        state.serve(serving(1));
        drop(waiting.await.expect("is admitted"));
        assert!(state.close_if_idle());
    }
}
