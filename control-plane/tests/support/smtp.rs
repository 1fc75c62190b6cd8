//! A real SMTP server, in a process of its own.

use lumadb_contract::secret::Secret;
use lumadb_control_plane::notify::Transport;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// No other test listens here, so that a port that was given up stays free.
const HOST: &str = "127.0.0.25";

pub(crate) const USER: &str = "cloud";
/// Has what a URL must escape.
pub(crate) const PASSWORD: &str = "s3cr:et/@";

/// A server that takes mails until it is stopped. It ends with this process, however that ends.
pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    process: Child,
    printed: BufReader<ChildStdout>,
}

impl SmtpServer {
    /// At a free port.
    pub(crate) fn start() -> Self {
        Self::start_at(0)
    }

    pub(crate) fn start_at(port: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/clients/smtp_server.py");
        let mut process = Command::new(python())
            .arg(script)
            .args([HOST, &port.to_string(), USER, PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut printed = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        printed.read_line(&mut line).expect("a port");
        let port = line.trim().parse();
        Self {
            port: port.expect("aiosmtpd is there; scripts/python.sh installs it"),
            process,
            printed,
        }
    }

    /// Every mail that it took, in their order.
    pub(crate) fn stop(mut self) -> Vec<Value> {
        drop(self.process.stdin.take());
        let mut lines = String::new();
        self.printed.read_to_string(&mut lines).expect("UTF-8");
        self.process.wait().expect("it ends");
        let mail = |line| serde_json::from_str(line).expect("a mail");
        lines.lines().map(mail).collect()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What sends to the server at this port, with this password in its URL.
pub(crate) fn transport(port: u16, password_in_url: &str) -> Transport {
    let url = format!("smtp://{USER}:{password_in_url}@{HOST}:{port}");
    Transport::smtp(&Secret::new(url), "LumaDB Cloud <cloud@example.com>").expect("a transport")
}

/// The Python that `scripts/python.sh e2e/clients/requirements.txt` fills.
fn python() -> PathBuf {
    let folder = std::env::var_os("LUMADB_TEST_VENV").map_or_else(
        || {
            let home = std::env::var_os("HOME").expect("HOME, or LUMADB_TEST_VENV");
            Path::new(&home).join(".cache/lumadb/venv")
        },
        PathBuf::from,
    );
    folder.join("bin/python")
}
