//! PgBouncer, the peer: session mode, a unix socket to the same engine.

use super::child::{Child, free_port, listening};
use super::instance::Instance;
use super::{CONNECTIONS_MAX, Common};
use lumadb_e2e::Outcome;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

#[derive(Debug)]
pub(super) struct Bouncer {
    pub(super) port: u16,
    child: Child,
}

impl Bouncer {
    pub(super) async fn start(
        folder: &Path,
        common: &Common,
        instance: &Instance,
    ) -> Outcome<Self> {
        if !Path::new(PROGRAM).is_file() {
            return Err(format!("{PROGRAM} is missing: `make bench` installs it").into());
        }
        let port = free_port()?;
        let users = folder.join("users.txt");
        std::fs::write(&users, format!("\"owner\" \"{}\"\n", common.verifier))?;
        let settings = folder.join("pgbouncer.ini");
        std::fs::write(&settings, ini(port, &users, common, instance))?;
        let mut command = Command::new(PROGRAM);
        command.arg(&settings);
        let log = folder.join("pgbouncer.log");
        let child = Child::start(command, instance.node_owner(), &log)?;
        listening(port, &log).await?;
        Ok(Self { port, child })
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.pid()
    }
}

fn ini(port: u16, users: &Path, common: &Common, instance: &Instance) -> String {
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
        socket = instance.socket_folder(),
        engine_port = super::instance::ENGINE_PORT,
        users = users.display(),
        key = common.keys.private_key_file.display(),
        certificate = common.keys.certificate_file.display(),
    )
}
