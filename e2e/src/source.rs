//! A PostgreSQL of somebody else's, to import from: the engine's own programs, behind a relay of
//! the test's that speaks TLS and can hold back what the server says.

use crate::wait::until;
use crate::{Outcome, ports, tools};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

/// PostgreSQL refuses to run as root; this is everybody's user `nobody`.
const NOBODY: u32 = 65534;

const START_LIMIT: Duration = Duration::from_mins(1);

/// The password of the server's only user.
pub const PASSWORD: &str = "s:e/c?r@t";

/// The same in a URI.
pub const PASSWORD_ENCODED: &str = "s%3Ae%2Fc%3Fr%40t";

/// A server with a logical database `shop` of the user `ada`.
#[derive(Debug)]
pub struct Source {
    _folder: TempDir,
    server: Child,
    port: u16,
}

impl Source {
    pub async fn start() -> Outcome<Self> {
        Self::start_with(&[]).await
    }

    /// With settings of the server's, each as `name=value`.
    pub async fn start_with(settings: &[&str]) -> Outcome<Self> {
        let folder = crate::cloud::new_folder()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
        let password = folder.path().join("password");
        std::fs::write(&password, format!("{PASSWORD}\n"))?;
        if nix::unistd::geteuid().is_root() {
            for path in [&data, &password] {
                chown(path, Some(NOBODY), Some(NOBODY))?;
            }
        }
        let mut initdb = program("initdb");
        initdb
            .args(["--username=ada", "--auth=scram-sha-256", "--no-sync"])
            .args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"])
            .args(["--encoding=UTF8", "--pgdata"])
            .arg(&data)
            .arg("--pwfile")
            .arg(&password);
        tools::run(&mut initdb).await?;
        let port = ports::free()?;
        let server = program("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .args(["-c", "fsync=off", "-p"])
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let source = Self {
            _folder: folder,
            server,
            port,
        };
        until("the source to start", START_LIMIT, || async {
            source.sql("postgres", "select 1").await.map(Some)
        })
        .await?;
        source.sql("postgres", "create database shop").await?;
        Ok(source)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// As a connection string of libpq's.
    pub fn connection(&self, database: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user=ada password='{PASSWORD}' dbname={database}",
            self.port
        )
    }

    pub async fn sql(&self, database: &str, sql: &str) -> Outcome<String> {
        tools::psql(&self.connection(database), sql).await
    }

    /// Dies without a word, as a machine does.
    pub async fn kill(&mut self) -> Outcome<()> {
        Ok(self.server.kill().await?)
    }
}

/// One of the engine's programs, as a user that is not root.
fn program(name: &str) -> Command {
    let mut command = Command::new(tools::engine_dir().join("bin").join(name));
    command.current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// One of the engine's programs for clients; it knows no TLS.
pub fn client(name: &str) -> Command {
    let mut command = Command::new(tools::engine_dir().join("bin").join(name));
    command.env("PGSSLMODE", "disable");
    command
}

/// Speaks TLS in front of a server, and lets only so many of its bytes through.
#[derive(Debug)]
pub struct TlsRelay {
    pub address: SocketAddr,
    /// The certificate, which is its own authority; it names `localhost`.
    pub certificate_pem: String,
    gate: Arc<Gate>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Gate {
    passed: AtomicU64,
    limit: AtomicU64,
    changed: Notify,
}

impl Drop for TlsRelay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl TlsRelay {
    pub async fn start(port: u16) -> Outcome<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let gate = Arc::new(Gate {
            passed: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            changed: Notify::new(),
        });
        let passing = Arc::clone(&gate);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, gate) = (acceptor.clone(), Arc::clone(&passing));
                tokio::spawn(async move { serve(client, acceptor, port, gate).await });
            }
        });
        Ok(Self {
            address,
            certificate_pem: made.cert.pem(),
            gate,
            accepting,
        })
    }

    /// Lets so many more bytes of the server's through, and then none.
    pub fn hold_after(&self, bytes: u64) {
        let passed = self.gate.passed.load(Ordering::SeqCst);
        self.gate.limit.store(passed + bytes, Ordering::SeqCst);
    }

    pub fn let_go(&self) {
        self.gate.limit.store(u64::MAX, Ordering::SeqCst);
        self.gate.changed.notify_waiters();
    }
}

async fn serve(
    mut client: TcpStream,
    acceptor: tokio_rustls::TlsAcceptor,
    port: u16,
    gate: Arc<Gate>,
) -> Outcome<()> {
    // An SSLRequest: eight bytes, answered by one.
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    client.write_all(b"S").await?;
    let client = acceptor.accept(client).await?;
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, to_client) = tokio::io::split(client);
    let (from_server, mut to_server) = server.into_split();
    tokio::select! {
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        _ = pass(from_server, to_client, &gate) => {}
    }
    Ok(())
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    gate: &Gate,
) -> Outcome<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        let passed = gate.passed.fetch_add(read as u64, Ordering::SeqCst);
        loop {
            let changed = gate.changed.notified();
            if passed < gate.limit.load(Ordering::SeqCst) {
                break;
            }
            changed.await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}

/// A file in a folder that goes with it.
pub fn scratch_file(name: &str) -> Outcome<(TempDir, PathBuf)> {
    let folder = crate::cloud::new_folder()?;
    let path = folder.path().join(name);
    Ok((folder, path))
}
