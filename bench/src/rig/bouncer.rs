//! PgBouncer, the peer: session mode, a unix socket to the same engine.

use super::CONNECTIONS_MAX;
use super::child::{Child, Owner, listening};
use super::instance::ENGINE_PORT;
use super::keys::Keys;
use lumadb_e2e::{Outcome, ports};
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

#[derive(Debug)]
pub(super) struct Bouncer {
    pub(super) port: u16,
    child: Child,
}

/// What it stands in front of.
#[derive(Debug)]
pub(super) struct Behind<'a> {
    /// Folder of PostgreSQL's socket.
    pub(super) socket_folder: &'a str,
    /// Who may enter that folder.
    pub(super) owner: Option<Owner>,
    /// Of the role `owner`.
    pub(super) verifier: &'a str,
    pub(super) keys: &'a Keys,
}

impl Bouncer {
    pub(super) async fn start(folder: &Path, behind: &Behind<'_>) -> Outcome<Self> {
        if !Path::new(PROGRAM).is_file() {
            return Err(format!("{PROGRAM} is missing: `make bench` installs it").into());
        }
        let port = ports::free()?;
        let users = folder.join("users.txt");
        std::fs::write(&users, format!("\"owner\" \"{}\"\n", behind.verifier))?;
        let settings = folder.join("pgbouncer.ini");
        std::fs::write(&settings, ini(port, &users, behind))?;
        let mut command = Command::new(PROGRAM);
        command.arg(&settings);
        let log = folder.join("pgbouncer.log");
        let child = Child::start(command, behind.owner, &log)?;
        listening(port, &log).await?;
        Ok(Self { port, child })
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.pid()
    }
}

fn ini(port: u16, users: &Path, behind: &Behind<'_>) -> String {
    format!(
        "[databases]\n\
         main = host={socket} port={engine_port} dbname=main user=owner\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         pool_mode = session\n\
         auth_type = scram-sha-256\n\
         auth_file = {users}\n\
         max_client_conn = {CONNECTIONS_MAX}\n\
         default_pool_size = {CONNECTIONS_MAX}\n\
         client_tls_sslmode = allow\n\
         client_tls_key_file = {key}\n\
         client_tls_cert_file = {certificate}\n\
         client_tls_protocols = tlsv1.3\n",
        socket = behind.socket_folder,
        engine_port = ENGINE_PORT,
        users = users.display(),
        key = behind.keys.private_key_file.display(),
        certificate = behind.keys.certificate_file.display(),
    )
}
