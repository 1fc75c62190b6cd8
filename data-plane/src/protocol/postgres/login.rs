//! A session that is admitted: its start at the engine, and the relay to its end.

use super::client::{ClientStream, HANDSHAKE_TIMEOUT};
use super::engine::{Answer, EngineError, open_session};
use super::gated::Gated;
use super::relay::Relay;
use super::server::{Label, Server, farewell, objection};
use super::startup::Startup;
use super::wire::{self, Fatal, sqlstate};
use crate::agent::{Admission, Refusal, Serving};
use crate::gate::{NotCovered, Pass};
use lumadb_contract::handoff::Verdict;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Longest wait of an authenticated client for an engine that is on its way or restarts, and then
/// for the archive, where it has to cover what the engine holds.
pub(super) const READY_WAIT: Duration = Duration::from_secs(30);

/// Who is logged in, and how the session starts.
pub(super) struct Login {
    pub(super) label: Label,
    pub(super) minor: u16,
    pub(super) parameters: Vec<(String, String)>,
}

impl Login {
    fn startup(&self) -> Startup {
        let mut parameters = vec![("user".to_owned(), self.label.user().to_owned())];
        parameters.extend(self.parameters.iter().cloned());
        Startup {
            minor: self.minor,
            parameters,
        }
    }
}

impl Server {
    /// Counts an authenticated client in, or tells it why not.
    pub(super) async fn admit(
        &self,
        client: ClientStream,
    ) -> Result<(ClientStream, Admission), Verdict> {
        let refusal = match self.state.admit_awaited(READY_WAIT).await {
            Ok(admission) => return Ok((client, admission)),
            Err(refusal) => refusal,
        };
        let (sqlstate, verdict) = match refusal {
            Refusal::TooManyConnections { .. } => {
                (sqlstate::TOO_MANY_CONNECTIONS, Verdict::TooManyConnections)
            }
            // The socket was read from: the edge cannot serve it any more.
            Refusal::NotReady => (sqlstate::CANNOT_CONNECT_NOW, Verdict::Accepted),
        };
        client
            .refuse(&Fatal::new(sqlstate, refusal.to_string()))
            .await;
        Err(verdict)
    }

    pub(super) async fn run_or_refuse(
        &self,
        client: ClientStream,
        login: Login,
        admission: Admission,
    ) {
        if let Err((client, error)) = self.run(client, login, Vec::new(), admission).await {
            tracing::debug!(%error, "the engine took no session");
            let fatal = Fatal::new(sqlstate::CANNOT_CONNECT_NOW, Refusal::NotReady.to_string());
            client.refuse(&fatal).await;
        }
    }

    /// Opens the session at the engine and relays it to its end. `greeting` goes to the client in
    /// front of the engine's answer. An error gives the client back, to be told in its own way.
    pub(super) async fn run(
        &self,
        mut client: ClientStream,
        login: Login,
        mut greeting: Vec<u8>,
        admission: Admission,
    ) -> Result<(), (ClientStream, EngineError)> {
        let session = self.sessions.enter(login.label.clone());
        // What changed between authentication and here was not ended with the others. (A role that
        // the edge knows already may be news to this node.)
        let serving = self.state.serving();
        let changed = match &login.label {
            Label::Role(_, None) => farewell(&serving),
            label => objection(label, &serving),
        };
        if let Some((order, fatal)) = changed {
            session.control().end(order, &fatal);
        }
        let pass = match self.pass(&serving).await {
            Ok(pass) => pass,
            Err(error) => return Err((client, error.into())),
        };
        let startup = login.startup();
        let (engine, engine_key) = match open_session(self.state.engine_socket(), &startup).await {
            Ok(Answer::Session {
                stream,
                before_key,
                engine_key,
                after_key,
            }) => {
                let given = self.cancel_keys.give(login.minor, engine_key.clone());
                let process_id = self.state.serving().route_number.cast_signed();
                greeting.extend(before_key);
                greeting.extend(wire::backend_key_data(process_id, given.secret()));
                greeting.extend(after_key);
                (stream, (engine_key, given))
            }
            Ok(Answer::Refused(refusal)) => {
                greeting.extend(refusal);
                let telling = async {
                    client.write_all(&greeting).await?;
                    client.shutdown().await
                };
                let _ = tokio::time::timeout(HANDSHAKE_TIMEOUT, telling).await;
                return Ok(());
            }
            Err(error) => return Err((client, error)),
        };
        let counters = Some(self.state.counters());
        let control = session.control();
        let end = match pass {
            None => {
                let relay = Relay::new(client, engine, greeting, counters, control);
                relay.run().await
            }
            Some(pass) => {
                let engine = Gated::new(engine, pass);
                let relay = Relay::new(client, engine, greeting, counters, control);
                relay.run().await
            }
        };
        let (engine_key, _given) = engine_key;
        if end.abandoned {
            // What the session was running must not run on for nobody.
            let _ = engine_key.cancel(self.state.engine_socket()).await;
        }
        drop(admission);
        Ok(())
    }

    /// What a session needs that may hear of nothing before it is archived.
    async fn pass(&self, serving: &Serving) -> Result<Option<Pass>, NotCovered> {
        if !serving.gated {
            return Ok(None);
        }
        self.state.gate().enter(READY_WAIT).await.map(Some)
    }
}
