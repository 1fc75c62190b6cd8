//! Connection strings of sources.

use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

const PORT: u16 = 5432;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("is a connection string such as postgres://user:password@host:5432/database")]
    Form,
    #[error("needs the name of {0}")]
    Missing(&'static str),
    #[error("names several hosts: give the one of the primary")]
    SeveralHosts,
    #[error("holds a port that is none: {0}")]
    Port(String),
    #[error("holds a % that is not followed by two hexadecimal digits, or text that is not UTF-8")]
    Encoding,
    #[error("has sslmode={0}: it is disable, require, verify-ca or verify-full")]
    TlsMode(String),
    #[error("has the parameter {0}, which imports do not know")]
    Parameter(String),
    #[error(
        "has sslrootcert={0}, a file that we do not have: send the certificates as ca_certificate_pem"
    )]
    RootFile(String),
}

/// How much of TLS is asked of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    /// Encrypted; whoever answers is believed.
    Require,
    /// The certificate comes from an authority that is trusted.
    VerifyCa,
    /// And names the host.
    VerifyFull,
}

/// Where to copy from, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub(super) password: Secret,
    pub(super) tls: TlsMode,
    /// Settings of the session, as libpq's `options` holds them.
    pub(super) options: Option<String>,
}

/// What is kept of a source while its import is open, sealed.
#[derive(Debug, Serialize, Deserialize)]
pub struct SealedSource {
    pub source: Secret,
    pub ca_certificate_pem: Option<String>,
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let rest = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| text.trim().strip_prefix(scheme))
            .ok_or(SourceError::Form)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        let (login, address) = authority
            .rsplit_once('@')
            .ok_or(SourceError::Missing("the user"))?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = host_and_port(address)?;
        let mut source = Self {
            host,
            port,
            database: decode(path)?,
            user: decode(user)?,
            password: Secret::new(decode(password)?),
            tls: TlsMode::Require,
            options: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(SourceError::Form)?;
            source.set(name, decode(value)?)?;
        }
        if source.user.is_empty() {
            return Err(SourceError::Missing("the user"));
        }
        if source.database.is_empty() {
            return Err(SourceError::Missing("the database"));
        }
        Ok(source)
    }
}

impl Source {
    fn set(&mut self, name: &str, value: String) -> Result<(), SourceError> {
        match name {
            "sslmode" => {
                self.tls = match value.as_str() {
                    "disable" => TlsMode::Disable,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    _ => return Err(SourceError::TlsMode(value)),
                }
            }
            "sslrootcert" if value == "system" => {}
            "sslrootcert" => return Err(SourceError::RootFile(value)),
            "options" => self.options = Some(value),
            // What drivers add and what changes nothing here.
            "application_name"
            | "connect_timeout"
            | "channel_binding"
            | "gssencmode"
            | "target_session_attrs" => {}
            _ => return Err(SourceError::Parameter(name.to_owned())),
        }
        Ok(())
    }
}

fn host_and_port(address: &str) -> Result<(String, u16), SourceError> {
    if address.contains(',') {
        return Err(SourceError::SeveralHosts);
    }
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(SourceError::Form)?;
            (host, rest.strip_prefix(':').unwrap_or(""))
        }
        None => address.split_once(':').unwrap_or((address, "")),
    };
    let host = decode(host)?;
    let named = !host.is_empty()
        && !host.starts_with('/')
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
    if !named {
        return Err(SourceError::Missing("the host"));
    }
    let port = match port {
        "" => PORT,
        text => match text.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(SourceError::Port(text.to_owned())),
        },
    };
    Ok((host, port))
}

/// Undoes percent-encoding (RFC 3986). What ends texts in the protocol is refused.
fn decode(text: &str) -> Result<String, SourceError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (high, low) = (digit(), digit());
        let (Some(high), Some(low)) = (high, low) else {
            return Err(SourceError::Encoding);
        };
        bytes.push(high << 4 | low);
    }
    let text = String::from_utf8(bytes).map_err(|_| SourceError::Encoding)?;
    if text.contains('\0') {
        return Err(SourceError::Encoding);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Result<Source, SourceError> {
        text.parse()
    }

    #[test]
    fn a_connection_string_is_read_as_libpq_reads_it() {
        let full = source(
            "postgresql://ad%40a:p%3Ass%20w@db.example.com:6000/sh%C3%B6p?sslmode=verify-full&options=-c%20work_mem%3D4MB",
        )
        .expect("reads");
        assert_eq!(full.host, "db.example.com");
        assert_eq!((full.port, full.user.as_str()), (6000, "ad@a"));
        assert_eq!(full.database, "sh\u{f6}p");
        assert_eq!(full.password.expose(), "p:ss w");
        assert_eq!(full.tls, TlsMode::VerifyFull);
        assert_eq!(full.options.as_deref(), Some("-c work_mem=4MB"));
        let short = source("postgres://a@[2001:db8::1]/b").expect("reads");
        assert_eq!((short.host.as_str(), short.port), ("2001:db8::1", 5432));
        assert_eq!(short.tls, TlsMode::Require, "never silently in the clear");
        assert!(!format!("{full:?}").contains("p:ss"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_reason() {
        for (text, error) in [
            ("host=a dbname=b", SourceError::Form),
            ("postgres://h/d", SourceError::Missing("the user")),
            ("postgres://u@h", SourceError::Missing("the database")),
            ("postgres://u@/d", SourceError::Missing("the host")),
            ("postgres://u@%2Ftmp/d", SourceError::Missing("the host")),
            ("postgres://u@a,b/d", SourceError::SeveralHosts),
            ("postgres://u@h:0/d", SourceError::Port("0".into())),
            ("postgres://u:%g0@h/d", SourceError::Encoding),
            ("postgres://u:%00@h/d", SourceError::Encoding),
            (
                "postgres://u@h/d?sslmode=prefer",
                SourceError::TlsMode("prefer".into()),
            ),
            (
                "postgres://u@h/d?passfile=x",
                SourceError::Parameter("passfile".into()),
            ),
            (
                "postgres://u@h/d?sslrootcert=/a.pem",
                SourceError::RootFile("/a.pem".into()),
            ),
        ] {
            assert_eq!(source(text), Err(error), "{text}");
        }
    }
}
