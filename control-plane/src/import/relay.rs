//! The unix sockets that `pg_dump` and `pg_restore` find: nobody else's, and a session behind each.

use super::Failure;
use super::login::{Door, LoggedIn};
use super::programs::User;
use crate::clock::Clock;
use crate::edge_door::{EdgeDoor, send};
use crate::identity::ServiceSigner;
use bytes::{BufMut as _, BytesMut};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use lumadb_contract::service_token::SQL_TOKEN_PARAMETER;
use postgres_protocol::message::frontend;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// Port of the source's socket; it is part of the socket's name.
pub(super) const SOURCE_PORT: u16 = 5432;
/// Port of the target's socket.
pub(super) const TARGET_PORT: u16 = 5433;

/// Name by which sessions in the target are known.
pub(super) const APPLICATION_NAME: &str = "LumaDB import";

/// Largest start-up packet, bytes: PostgreSQL's own limit.
const STARTUP_BYTES_MAX: usize = 10_000;

/// Longest time for a client to say who it is, and for the edge to be reached.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);

const BUFFER_BYTES: usize = 64 * 1024;

const PROTOCOL_3: u32 = 0x0003_0000;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// Where a session goes.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Source(Door),
    Target(Target),
}

/// A logical database of ours, reached through the edge like any client's.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) door: EdgeDoor,
    pub(super) signer: ServiceSigner,
    pub(super) clock: Clock,
    pub(super) database: DatabaseId,
    pub(super) role: PgName,
    pub(super) logical_database: String,
}

/// A socket that takes sessions until it is dropped; then its sessions end as well.
#[derive(Debug)]
pub(super) struct Relay {
    accepting: JoinHandle<()>,
    path: PathBuf,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        // The next one binds the same name.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Relay {
    /// Listens in a folder of the import's own.
    pub(super) fn listen(
        folder: &Path,
        port: u16,
        way: Way,
        user: Option<User>,
    ) -> io::Result<Self> {
        let path = folder.join(format!(".s.PGSQL.{port}"));
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        if let Some(user) = user {
            std::os::unix::fs::chown(&path, Some(user.id), Some(user.group))?;
        }
        let accepting = tokio::spawn(async move {
            let way = Arc::new(way);
            // Dropped with this task, and its sessions with it.
            let mut sessions = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((client, _)) => {
                            let way = Arc::clone(&way);
                            sessions.spawn(async move { serve(client, &way).await });
                        }
                        Err(error) => {
                            tracing::warn!(%error, "an import's session was not accepted");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    },
                    Some(_) = sessions.join_next() => {}
                }
            }
        });
        Ok(Self { accepting, path })
    }
}

async fn serve(mut client: UnixStream, way: &Way) {
    let opened = tokio::time::timeout(STARTUP_TIMEOUT, read_startup(&mut client)).await;
    let Ok(Ok(Some(parameters))) = opened else {
        return;
    };
    let opened = match way {
        Way::Source(door) => door.open(&parameters).await,
        Way::Target(target) => target.open(&parameters).await,
    };
    match opened {
        Ok(session) => relay(client, session).await,
        Err(failure) => {
            let _ = client.write_all(&error_packet(&failure)).await;
            let _ = client.shutdown().await;
        }
    }
}

async fn relay(mut client: UnixStream, session: LoggedIn) {
    let LoggedIn { mut stream, head } = session;
    if client.write_all(&head).await.is_err() {
        return;
    }
    // How it ends the programs on both sides see for themselves.
    let _ = tokio::io::copy_bidirectional_with_sizes(
        &mut client,
        &mut stream,
        BUFFER_BYTES,
        BUFFER_BYTES,
    )
    .await;
}

/// Parameters of the session that a client wants; `None` for one that wants no session.
async fn read_startup(client: &mut UnixStream) -> io::Result<Option<Vec<(String, String)>>> {
    loop {
        let length = client.read_u32().await? as usize;
        if !(8..=STARTUP_BYTES_MAX).contains(&length) {
            return Ok(None);
        }
        let mut body = vec![0; length - 4];
        client.read_exact(&mut body).await?;
        let (code, rest) = body.split_at(4);
        match u32::from_be_bytes([code[0], code[1], code[2], code[3]]) {
            SSL_REQUEST | GSS_REQUEST => client.write_all(b"N").await?,
            PROTOCOL_3 => return Ok(Some(parameters(rest))),
            _ => return Ok(None),
        }
    }
}

fn parameters(packet: &[u8]) -> Vec<(String, String)> {
    let mut texts = packet
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned());
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        if name.is_empty() {
            break;
        }
        pairs.push((name, value));
    }
    pairs
}

/// An error of the relay's own, as the programs show it.
fn error_packet(failure: &Failure) -> BytesMut {
    let mut fields = BytesMut::new();
    for (kind, text) in [
        (b'S', "FATAL"),
        (b'V', "FATAL"),
        (b'C', "08006"),
        (b'M', failure.0.as_str()),
    ] {
        fields.put_u8(kind);
        fields.put_slice(text.as_bytes());
        fields.put_u8(0);
    }
    fields.put_u8(0);
    let mut packet = BytesMut::new();
    packet.put_u8(b'E');
    packet.put_u32(u32::try_from(fields.len() + 4).unwrap_or_default());
    packet.put_slice(&fields);
    packet
}

fn away() -> Failure {
    Failure::new("The database cannot be reached now.")
}

impl Target {
    async fn open(&self, parameters: &[(String, String)]) -> Result<LoggedIn, Failure> {
        let user = format!("{}.{}", self.role, self.database);
        let token = self
            .signer
            .sql(&self.clock, self.database, self.role.clone())
            .map_err(|error| {
                tracing::error!(%error, "an import gets no token");
                away()
            })?;
        let mut all: Vec<(&str, &str)> = vec![
            ("user", user.as_str()),
            ("database", self.logical_database.as_str()),
            ("application_name", APPLICATION_NAME),
            (SQL_TOKEN_PARAMETER, token.as_str()),
        ];
        for (name, value) in parameters {
            if !all.iter().any(|(known, _)| known == name) {
                all.push((name, value));
            }
        }
        let opened = async {
            let mut stream = self.door.connect().await?;
            let mut packet = BytesMut::new();
            frontend::startup_message(all, &mut packet)?;
            send(&mut *stream, &packet).await?;
            Ok::<_, io::Error>(stream)
        };
        match tokio::time::timeout(STARTUP_TIMEOUT, opened).await {
            // What the edge says goes on to the client as it is.
            Ok(Ok(stream)) => Ok(LoggedIn {
                stream,
                head: BytesMut::new(),
            }),
            Ok(Err(error)) => {
                tracing::warn!(database = %self.database, %error, "an import does not reach its edge");
                Err(away())
            }
            Err(_) => Err(away()),
        }
    }
}
