//! What clients do: `psql`, tokens of the SQL door, a look at metrics.

use super::engine::engine_dir;
use super::node::app;
use super::world::{DATABASE, PASSWORD, World, now};
use lumadb_contract::service_token::{SqlClaims, audience, issuer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

impl World {
    /// `user` and `password` as a client of the edge gives them.
    pub(super) fn user() -> String {
        format!("app.{DATABASE}")
    }

    pub(super) async fn scrape(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.metrics)
            .await
            .expect("open");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    /// Waits until the edge's metrics say so.
    pub(super) async fn until(&self, holds: impl Fn(&str) -> bool) {
        for attempt in 0.. {
            let text = self.scrape("/metrics").await;
            if holds(&text) {
                return;
            }
            assert!(attempt < 500, "never: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where the control plane's own sessions come in.
    pub(super) fn sql_socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    pub(super) fn sql_token(&self, change: impl FnOnce(&mut SqlClaims)) -> String {
        let iat = now().unix_timestamp().unsigned_abs();
        let mut claims = SqlClaims {
            iss: issuer::API.into(),
            aud: audience::EDGE_SQL.into(),
            iat,
            exp: iat + 60,
            database_id: DATABASE.parse().expect("valid"),
            role: app(),
        };
        change(&mut claims);
        let key = jsonwebtoken::EncodingKey::from_ed_pem(self.sql_key_pem.as_bytes());
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &claims, &key.expect("a key")).expect("signed")
    }

    /// The engine's own psql against the edge (it has no TLS); answers output or error text.
    pub(super) async fn psql(
        &self,
        address: SocketAddr,
        settings: &str,
        sql: &str,
    ) -> Result<String, String> {
        let user = Self::user();
        let connection = format!(
            "host=127.0.0.1 port={} user={user} password={PASSWORD} dbname=main {settings}",
            address.port()
        );
        let output = tokio::process::Command::new(engine_dir().join("bin/psql"))
            .args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                &connection,
                "-c",
                sql,
            ])
            .output()
            .await
            .expect("psql runs");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
