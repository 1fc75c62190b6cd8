//! Sessions of the platform's superuser in an engine.

use super::instance_dir::InstanceDir;
use lumadb_contract::archive::Lsn;
use lumadb_contract::name::PLATFORM_ROLE;
use postgres_protocol::escape::escape_literal;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::PgLsn;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, SimpleQueryRow, Statement};

/// The platform's own logical database; tenants cannot connect to it.
pub(super) const PLATFORM_DATABASE: &str = "postgres";

/// Time to connect and be answered, seconds.
const CONNECT_TIMEOUT_SECONDS: u64 = 10;

/// Settings that a tenant may have attached to its database or that would write its secrets down
/// are overruled: what comes with the connection wins over what is stored. `search_path` keeps a
/// tenant's functions from being called by the superuser.
const OPTIONS: &str = "-c search_path=pg_catalog -c role=none -c event_triggers=off \
    -c default_transaction_read_only=off -c default_transaction_isolation=read\\ committed \
    -c synchronous_commit=off -c statement_timeout=60s -c lock_timeout=10s \
    -c idle_in_transaction_session_timeout=60s -c row_security=on \
    -c pg_stat_statements.track=none -c log_statement=none \
    -c log_min_duration_statement=-1 -c client_min_messages=warning";

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("the engine's socket did not answer")]
    Unreachable(#[from] std::io::Error),
    #[error("the engine did not answer within {CONNECT_TIMEOUT_SECONDS} s")]
    Timeout,
    #[error("the engine ended the session")]
    Ended,
    #[error("{doing}")]
    Sql {
        doing: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("the engine answered `{0}` where something else was expected")]
    Unexpected(String),
}

/// Who an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineIdentity {
    /// PostgreSQL's own version, such as `18.6`.
    pub version: String,
    /// Differs between any two clusters that were not copied from one another.
    pub system_identifier: u64,
}

/// A session of the platform's superuser. Ends when dropped.
#[derive(Debug)]
pub struct AdminSession {
    client: Client,
    connection: JoinHandle<()>,
}

impl Drop for AdminSession {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl AdminSession {
    /// Connects to the platform's own logical database.
    pub async fn open(instance: &InstanceDir) -> Result<Self, AdminError> {
        Self::open_socket(&instance.engine_socket()).await
    }

    /// The same, of the engine behind a socket.
    pub(crate) async fn open_socket(socket: &Path) -> Result<Self, AdminError> {
        Self::open_in(socket, PLATFORM_DATABASE).await
    }

    pub(crate) async fn open_in(socket: &Path, database: &str) -> Result<Self, AdminError> {
        let connecting = async {
            let stream = UnixStream::connect(socket).await?;
            let mut config = Config::new();
            config
                .user(PLATFORM_ROLE)
                .dbname(database)
                .application_name("lumadb-node")
                .options(OPTIONS);
            let connected = config.connect_raw(stream, NoTls).await;
            connected.map_err(sql_fault(|| format!("connecting to {database}")))
        };
        let limit = Duration::from_secs(CONNECT_TIMEOUT_SECONDS);
        let (client, connection) = timeout(limit, connecting)
            .await
            .map_err(|_| AdminError::Timeout)??;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a session of the platform ended");
            }
        });
        Ok(Self { client, connection })
    }

    /// Runs statements that answer nothing. `doing` says what for and holds no secret.
    pub(super) async fn run(&self, doing: &str, sql: &str) -> Result<(), AdminError> {
        let ran = self.client.batch_execute(sql).await;
        ran.map_err(sql_fault(|| doing.to_owned()))
    }

    /// Runs a query; values come as PostgreSQL's text.
    pub(crate) async fn rows(
        &self,
        doing: &str,
        sql: &str,
    ) -> Result<Vec<SimpleQueryRow>, AdminError> {
        let answer = self.client.simple_query(sql).await;
        let answer = answer.map_err(sql_fault(|| doing.to_owned()))?;
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    async fn number(&self, doing: &str, sql: &str) -> Result<u64, AdminError> {
        let rows = self.rows(doing, sql).await?;
        let text = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
        text.parse()
            .map_err(|_| AdminError::Unexpected(text.to_owned()))
    }

    pub async fn identity(&self) -> Result<EngineIdentity, AdminError> {
        let doing = "asking for the engine's identity";
        let system_identifier = self
            .number(doing, "select system_identifier from pg_control_system()")
            .await?;
        let rows = self.rows(doing, "show server_version").await?;
        let version = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
        Ok(EngineIdentity {
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            system_identifier,
        })
    }

    /// WAL before this is on the engine's disk.
    pub async fn flushed(&self) -> Result<Lsn, AdminError> {
        let sql = "select pg_current_wal_flush_lsn() - '0/0'";
        self.number("asking how far the WAL is", sql).await.map(Lsn)
    }

    /// What [`Self::wal_positions`] asks, for this session.
    pub(crate) async fn wal_question(&self) -> Result<Statement, AdminError> {
        let sql = "select pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn()";
        let prepared = self.client.prepare(sql).await;
        prepared.map_err(sql_fault(wal_asked))
    }

    /// Up to where WAL has been inserted, and then up to where it is on the engine's disk.
    pub(crate) async fn wal_positions(
        &self,
        question: &Statement,
    ) -> Result<(Lsn, Lsn), AdminError> {
        let row = self.client.query_one(question, &[]).await;
        let row = row.map_err(sql_fault(wal_asked))?;
        let position = |column: usize| {
            let position = row.try_get::<_, PgLsn>(column);
            let position = position.map(|position| Lsn(position.into()));
            position.map_err(sql_fault(wal_asked))
        };
        Ok((position(0)?, position(1)?))
    }

    /// Has WAL flushed past `end` unless it is; answers up to where it is.
    pub(crate) async fn flush_past(&self, end: Lsn) -> Result<Lsn, AdminError> {
        let doing = "flushing WAL";
        let sql = format!(
            "select case when pg_current_wal_flush_lsn() < '{end}'::pg_lsn \
             then pg_logical_emit_message(false, 'lumadb', '', true) end, \
             pg_current_wal_flush_lsn()"
        );
        position(&self.rows(doing, &sql).await?, 1)
    }

    /// Completes when the engine has ended the session.
    pub(crate) async fn ended(&mut self) {
        let _ = (&mut self.connection).await;
    }

    /// Names this moment in the WAL; answers where it is.
    pub(crate) async fn restore_point(&self, name: &str) -> Result<Lsn, AdminError> {
        let doing = "making a restore point";
        let sql = format!("select pg_create_restore_point({})", escape_literal(name));
        position(&self.rows(doing, &sql).await?, 0)
    }

    /// Size of everything stored without WAL, bytes: tables, indexes, catalogs, temporary files of
    /// every logical database.
    pub async fn storage_bytes(&self) -> Result<u64, AdminError> {
        self.number(
            "measuring the storage",
            "select pg_tablespace_size('pg_default') + pg_tablespace_size('pg_global')",
        )
        .await
    }
}

fn wal_asked() -> String {
    "asking up to where WAL has been inserted".to_owned()
}

fn position(rows: &[SimpleQueryRow], column: usize) -> Result<Lsn, AdminError> {
    let text = rows.first().and_then(|row| row.get(column));
    let text = text.unwrap_or_default();
    text.parse()
        .map_err(|_| AdminError::Unexpected(text.to_owned()))
}

fn sql_fault(doing: impl FnOnce() -> String) -> impl FnOnce(tokio_postgres::Error) -> AdminError {
    move |source| AdminError::Sql {
        doing: doing(),
        source,
    }
}
