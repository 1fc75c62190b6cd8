//! Notifications of the control plane's database: each says "look", never what happened.

use super::{StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, OperationId};
use sqlx::postgres::{PgListener, PgPool};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use uuid::Uuid;

/// Signals that a receiver may lag behind before it is told to look at everything.
const BUFFERED_MAX: usize = 1024;

/// Wait before the database is dialed again.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);

const DATABASE_CHANGED: &str = "database_changed";
const OPERATION_CHANGED: &str = "operation_changed";
const QUERY_CANCEL: &str = "query_cancel";

/// Something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Database(DatabaseId),
    Operation(OperationId),
    /// A query of the SQL editor shall end: its name, made of database and the client's own name.
    QueryCancel(Uuid),
    /// Some were missed: look at everything.
    Missed,
}

/// One listening connection a process, however many wait.
#[derive(Debug, Clone)]
pub struct Signals {
    pool: PgPool,
    sender: Arc<OnceLock<broadcast::Sender<Signal>>>,
}

/// Receives every signal from the moment of its making on.
#[derive(Debug)]
pub struct SignalReceiver(broadcast::Receiver<Signal>);

impl Signals {
    pub(in crate::store) fn new(pool: PgPool) -> Self {
        Self {
            pool,
            sender: Arc::default(),
        }
    }

    /// Subscribe first, then look: what changes after the look is signaled. The first call starts
    /// to listen, so it must come from inside a runtime.
    pub fn subscribe(&self) -> SignalReceiver {
        let sender = self.sender.get_or_init(|| {
            let (sender, _) = broadcast::channel(BUFFERED_MAX);
            tokio::spawn(listen(self.pool.clone(), sender.clone()));
            sender
        });
        SignalReceiver(sender.subscribe())
    }
}

impl SignalReceiver {
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Ok(signal) => signal,
            Err(RecvError::Lagged(_)) => Signal::Missed,
            // The sender lives as long as the process.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next signal that is here already.
    pub fn try_next(&mut self) -> Option<Signal> {
        match self.0.try_recv() {
            Ok(signal) => Some(signal),
            Err(TryRecvError::Lagged(_)) => Some(Signal::Missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// Ends when this query is to be cancelled, and never otherwise: what was missed is not known
    /// to have been a cancellation.
    pub async fn query_cancelled(&mut self, name: Uuid) {
        while self.next().await != Signal::QueryCancel(name) {}
    }

    /// Waits until `wanted` or [`Signal::Missed`] comes, at most `longest`.
    pub async fn wait_for(&mut self, wanted: Signal, longest: Duration) {
        let seen = async {
            loop {
                let signal = self.next().await;
                if signal == wanted || signal == Signal::Missed {
                    return;
                }
            }
        };
        // An elapsed time means "look again", as a signal does.
        let _ = tokio::time::timeout(longest, seen).await;
    }
}

/// Tells whichever process runs the query to end it.
pub async fn cancel_query(tx: &mut TenantTx, name: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        r#"select pg_notify('query_cancel', $1)::text as "done""#,
        name.to_string()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

async fn listen(pool: PgPool, sender: broadcast::Sender<Signal>) {
    loop {
        if let Err(error) = forward(&pool, &sender).await {
            if pool.is_closed() {
                return;
            }
            tracing::warn!(%error, "the control plane's database does not notify");
        }
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

async fn forward(pool: &PgPool, sender: &broadcast::Sender<Signal>) -> Result<(), StoreError> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener
        .listen_all([DATABASE_CHANGED, OPERATION_CHANGED, QUERY_CANCEL])
        .await?;
    // Nobody told us what happened before this moment. No receiver is no error.
    let _ = sender.send(Signal::Missed);
    while let Some(notification) = listener.try_recv().await? {
        let Ok(id) = notification.payload().parse::<Uuid>() else {
            continue;
        };
        let _ = sender.send(match notification.channel() {
            DATABASE_CHANGED => Signal::Database(DatabaseId::from_uuid(id)),
            OPERATION_CHANGED => Signal::Operation(OperationId::from_uuid(id)),
            _ => Signal::QueryCancel(id),
        });
    }
    Ok(())
}
