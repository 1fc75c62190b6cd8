//! The life of one client's connection at the edge.

use super::config::{EdgeLimits, Plaintext};
use super::limits::{FailureLimit, HalfOpen};
use super::locate::{Label, LocateError, Locator};
use super::metrics::{Metrics, Outcome};
use super::node::{Dialer, NodeStream};
use super::renewed::Renewed;
use super::routes::Known;
use super::sql_token::{SqlTokenError, SqlTokens};
use crate::protocol::postgres::authenticate::authenticate;
use crate::protocol::postgres::client::{
    self, ClientStream, HandshakeError, Opened, Request, first_contact,
};
use crate::protocol::postgres::proof::{Proof, not_allowed};
use crate::protocol::postgres::quiet::QuietStream;
use crate::protocol::postgres::relay::Relay;
use crate::protocol::postgres::scram::{Binding, Credentials, NONCE_BYTES};
use crate::protocol::postgres::session::{Order, SessionTable};
use crate::protocol::postgres::startup::Startup;
use crate::protocol::postgres::target::{Target, target};
use crate::protocol::postgres::tls::TlsServer;
use crate::protocol::postgres::wire::{Fatal, sqlstate};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::name::PgName;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use time::OffsetDateTime;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

/// What every connection of an edge shares.
pub(super) struct Shared {
    pub(super) region: String,
    pub(super) limits: EdgeLimits,
    pub(super) plaintext: Plaintext,
    pub(super) hand_over: bool,
    pub(super) tls: Option<Renewed<TlsIdentity, TlsServer>>,
    pub(super) locator: Arc<Locator>,
    pub(super) dialer: Dialer,
    pub(super) sessions: Arc<SessionTable<Label>>,
    pub(super) failures: FailureLimit,
    pub(super) metrics: Arc<Metrics>,
    /// `None` where the control plane opens no sessions.
    pub(super) sql_tokens: Option<SqlTokens>,
    pub(super) clock: fn() -> OffsetDateTime,
    /// Salt of roles of databases that have none.
    pub(super) fallback_key: [u8; 32],
    pub(super) draining: AtomicBool,
}

/// A connection that ends before it is a session: how it is counted, and what the client is told.
pub(super) struct Refused {
    pub(super) outcome: Outcome,
    pub(super) fatal: Option<Fatal>,
}

impl Refused {
    pub(super) fn told(outcome: Outcome) -> Self {
        Self {
            outcome,
            fatal: None,
        }
    }

    pub(super) fn new(
        outcome: Outcome,
        sqlstate: &'static str,
        text: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        Self {
            outcome,
            fatal: Some(Fatal::new(sqlstate, text)),
        }
    }
}

impl From<HandshakeError> for Refused {
    fn from(error: HandshakeError) -> Self {
        tracing::debug!(%error, "a connection ended early");
        Self::told(Outcome::Handshake)
    }
}

/// Who comes in, and with what.
pub(super) struct Visitor {
    pub(super) role: PgName,
    pub(super) known: Arc<Known>,
    pub(super) label: Label,
    pub(super) startup: Startup,
    pub(super) target: Target,
    pub(super) address: Option<SocketAddr>,
}

impl Shared {
    /// A client on the edge's port. `half_open` is its place among those without authentication.
    pub(super) async fn serve_tcp(
        self: Arc<Self>,
        mut socket: TcpStream,
        address: SocketAddr,
        half_open: HalfOpen,
    ) {
        let served = async {
            let contact = first_contact(&mut socket, self.tls.is_some());
            let next = self.in_time(contact).await?;
            let Some(socket) = self.try_hand_over(socket, next, address).await? else {
                return Ok(());
            };
            let tls = self.tls.as_ref().map(|tls| tls.at(Instant::now()));
            let opened = self
                .in_time(client::open(socket, next, tls.as_ref()))
                .await?;
            self.serve_opened(opened, address, half_open).await
        };
        if let Err(refused) = served.await {
            let refused: Refused = refused;
            self.metrics.count(refused.outcome);
        }
    }

    /// Runs one stage of the handshake within its time.
    pub(super) async fn in_time<T>(
        &self,
        stage: impl Future<Output = Result<T, HandshakeError>>,
    ) -> Result<T, Refused> {
        match timeout(self.limits.handshake_timeout, stage).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(Refused::told(Outcome::Handshake)),
        }
    }

    pub(super) fn admits_plaintext(&self, address: SocketAddr) -> bool {
        match self.plaintext {
            Plaintext::Refused => false,
            Plaintext::FromLoopback => address.ip().to_canonical().is_loopback(),
            Plaintext::Allowed => true,
        }
    }

    async fn serve_opened(
        self: &Arc<Self>,
        opened: Opened,
        address: SocketAddr,
        half_open: HalfOpen,
    ) -> Result<(), Refused> {
        let Opened {
            mut stream,
            request,
            server_name,
            binding,
        } = opened;
        let startup = match request {
            Request::Startup(startup) => startup,
            Request::Cancel(cancel) => {
                self.cancel(&cancel).await;
                stream.close().await;
                return Ok(());
            }
        };
        let admitted = self
            .authenticate(
                &mut stream,
                startup,
                server_name.as_deref(),
                &binding,
                address,
            )
            .await;
        drop(half_open);
        match admitted {
            Ok(visitor) => {
                let outcome = match visitor.label.proof {
                    Some(_) => Outcome::Session,
                    None => Outcome::SqlSession,
                };
                self.serve_visitor(stream, visitor, outcome).await
            }
            Err(refused) => Err(tell(stream, refused).await),
        }
    }

    /// Finds out who it is and checks the password. Nothing is woken here.
    async fn authenticate(
        &self,
        stream: &mut ClientStream,
        startup: Startup,
        server_name: Option<&str>,
        binding: &Binding,
        address: SocketAddr,
    ) -> Result<Visitor, Refused> {
        if !stream.is_encrypted() && !self.admits_plaintext(address) {
            return Err(Refused::new(
                Outcome::TlsRequired,
                sqlstate::INVALID_AUTHORIZATION,
                "connections must use TLS: set sslmode=require",
            ));
        }
        let mut target = target(&startup, server_name).map_err(|fatal| Refused {
            outcome: Outcome::NoDatabase,
            fatal: Some(fatal),
        })?;
        self.check_address(address)?;
        if stream.is_encrypted()
            && let Some(tokens) = &self.sql_tokens
            && tokens.come_with_clients()
            && let Some(token) = target.token.take()
        {
            let admitted = self.check_token(tokens, &token, startup, target).await;
            let outcome = admitted.as_ref().err().map(|refused| refused.outcome);
            if outcome == Some(Outcome::WrongPassword) {
                self.failures.failed(address.ip(), Instant::now());
            }
            return admitted;
        }
        let known = self.find(&target).await?;
        let route = &known.route;
        if !route.allowed_networks.admit(address.ip()) {
            return Err(Refused {
                outcome: Outcome::NetworkNotAllowed,
                fatal: Some(not_allowed(route.database_id, address.ip())),
            });
        }
        let credentials = Credentials::find(&known.roles, &target.role, &self.fallback_key);
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let dialogue = authenticate(stream, credentials, binding, &nonce);
        match timeout(self.limits.handshake_timeout, dialogue).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_wrong_password() => {
                self.failures.failed(address.ip(), Instant::now());
                return Err(Refused {
                    outcome: Outcome::WrongPassword,
                    fatal: error.fatal(&target.role),
                });
            }
            Ok(Err(error)) => {
                return Err(Refused {
                    outcome: Outcome::Handshake,
                    fatal: error.fatal(&target.role),
                });
            }
            Err(_) => return Err(Refused::told(Outcome::Handshake)),
        }
        // Whoever authenticated has a checked name.
        let role: PgName = (target.role.parse()).map_err(|_| Refused::told(Outcome::Handshake))?;
        let verifier = known.roles.get(&role).cloned();
        let verifier = verifier.ok_or_else(|| Refused::told(Outcome::Handshake))?;
        let label = Label {
            database_id: known.route.database_id,
            role: role.clone(),
            proof: Some(Proof {
                verifier,
                address: address.ip(),
            }),
        };
        Ok(Visitor {
            role,
            known,
            label,
            startup,
            target,
            address: Some(address),
        })
    }

    /// Refuses an address with too many failed log-ins.
    pub(super) fn check_address(&self, address: SocketAddr) -> Result<(), Refused> {
        let Some(wait) = self.failures.wait(address.ip(), Instant::now()) else {
            return Ok(());
        };
        Err(Refused::new(
            Outcome::AddressLimit,
            sqlstate::INVALID_AUTHORIZATION,
            format!(
                "too many failed log-ins from this address: try again in {} seconds",
                wait.as_secs() + 1
            ),
        ))
    }

    async fn find(&self, target: &Target) -> Result<Arc<Known>, Refused> {
        let Some(id) = target.database_id else {
            return Err(Refused::new(
                Outcome::NoDatabase,
                sqlstate::INVALID_AUTHORIZATION,
                "the connection names no database: use the user name role.db_…, \
                 options=endpoint=db-…, or the database's own host name",
            ));
        };
        match self.locator.find(id, Instant::now()).await {
            Ok(known) => Ok(known),
            Err(LocateError::Unknown) => Err(self.unknown(id)),
            Err(LocateError::Away) => Err(Refused::new(
                Outcome::Unreachable,
                sqlstate::CANNOT_CONNECT_NOW,
                format!("database {id} cannot be looked up now: try again in a moment"),
            )),
        }
    }

    pub(super) fn unknown(&self, id: DatabaseId) -> Refused {
        Refused::new(
            Outcome::UnknownDatabase,
            sqlstate::INVALID_CATALOG_NAME,
            format!("database {id} does not exist in region {}", self.region),
        )
    }

    /// A session of the control plane, on the edge's own unix socket: a token in place of a
    /// password.
    pub(super) async fn serve_sql(self: Arc<Self>, stream: UnixStream) {
        let stream = match QuietStream::new(stream) {
            Ok(stream) => ClientStream::Unix(stream),
            Err(error) => {
                tracing::warn!(%error, "a session was not registered");
                return;
            }
        };
        let served = async {
            let reading = client::read_request(stream);
            let (stream, request) = self.in_time(reading).await?;
            let startup = match request {
                Request::Startup(startup) => startup,
                Request::Cancel(cancel) => {
                    self.cancel(&cancel).await;
                    return Ok(());
                }
            };
            match self.admit_sql(startup).await {
                Ok(visitor) => {
                    self.serve_visitor(stream, visitor, Outcome::SqlSession)
                        .await
                }
                Err(refused) => Err(tell(stream, refused).await),
            }
        };
        if let Err(refused) = served.await {
            let refused: Refused = refused;
            self.metrics.count(refused.outcome);
        }
    }

    async fn admit_sql(&self, startup: Startup) -> Result<Visitor, Refused> {
        let mut target = target(&startup, None).map_err(|fatal| Refused {
            outcome: Outcome::NoDatabase,
            fatal: Some(fatal),
        })?;
        let token = target.token.take();
        let token = token.ok_or_else(|| no_session("a session here needs a token"))?;
        let tokens = self.sql_tokens.as_ref();
        let tokens = tokens.ok_or_else(|| no_session("no session is taken here"))?;
        self.check_token(tokens, &token, startup, target).await
    }

    /// Takes in whom a token names; nobody asks for a password.
    async fn check_token(
        &self,
        tokens: &SqlTokens,
        token: &str,
        startup: Startup,
        mut target: Target,
    ) -> Result<Visitor, Refused> {
        let claims = tokens.check(token, (self.clock)()).map_err(|error| {
            tracing::warn!(%error, "a session of the control plane was refused");
            match error {
                SqlTokenError::Key(_) => Refused::new(
                    Outcome::Unreachable,
                    sqlstate::CANNOT_CONNECT_NOW,
                    "the session's token cannot be checked now: try again in a moment",
                ),
                _ => no_session("the session's token is not valid"),
            }
        })?;
        target.database_id = Some(claims.database_id);
        let known = self.find(&target).await?;
        Ok(Visitor {
            label: Label {
                database_id: claims.database_id,
                role: claims.role.clone(),
                proof: None,
            },
            role: claims.role,
            known,
            startup,
            target,
            address: None,
        })
    }

    /// Passes an authenticated client on to its database and stays with it to the end.
    async fn serve_visitor(
        self: &Arc<Self>,
        stream: ClientStream,
        visitor: Visitor,
        outcome: Outcome,
    ) -> Result<(), Refused> {
        if self.sessions.len() >= self.limits.sessions_max {
            let refused = Refused::new(
                Outcome::TooManyConnections,
                sqlstate::TOO_MANY_CONNECTIONS,
                "too many connections: this edge has no place left",
            );
            return Err(tell(stream, refused).await);
        }
        let session = self.sessions.enter(visitor.label.clone());
        // What changed between authentication and here was not ended with the others.
        if let Some(fatal) = self.locator.objection(&visitor.label) {
            let outcome = Outcome::Suspended;
            let fatal = Some(fatal);
            return Err(tell(stream, Refused { outcome, fatal }).await);
        }
        if self.draining.load(Acquire) {
            session.control().end(Order::WhenIdle, &leaving());
        }
        let node = match self.reach(&visitor).await {
            Ok(node) => node,
            Err(refused) => return Err(tell(stream, refused).await),
        };
        self.metrics.count(outcome);
        drop(visitor);
        let control = session.control();
        match node {
            NodeStream::Unix(node) => {
                let relay = Relay::new(stream, node, Vec::new(), None, control);
                relay.run().await
            }
            NodeStream::Tls(node) => {
                let relay = Relay::new(stream, node, Vec::new(), None, control);
                relay.run().await
            }
        };
        Ok(())
    }
}

fn no_session(why: &'static str) -> Refused {
    let outcome = Outcome::WrongPassword;
    Refused::new(outcome, sqlstate::INVALID_AUTHORIZATION, why)
}

/// What sessions hear when the edge shuts down.
pub(super) fn leaving() -> Fatal {
    Fatal::new(
        sqlstate::ADMIN_SHUTDOWN,
        "terminating connection: the edge is shutting down, connect again",
    )
}

/// Tells the client why, if it has not been told.
async fn tell(stream: ClientStream, refused: Refused) -> Refused {
    if let Some(fatal) = &refused.fatal {
        stream.refuse(fatal).await;
    }
    refused
}
