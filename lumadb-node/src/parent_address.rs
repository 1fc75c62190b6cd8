//! Where a node's parent listens.

use lumadb_data_plane::agent::ParentAddress;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not an address of the form unix:/path/of/socket or https://host:port, the port from 1 to 65535 and nothing behind it"
)]
pub(crate) struct InvalidAddress(String);

/// As it stands on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ParentArgument {
    Unix(PathBuf),
    Https { host: String, port: u16 },
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ParentMismatch {
    #[error(
        "a parent at https:// is shown who this is and shows who it is: give --parent-token-file and --parent-ca-file"
    )]
    Missing,
    #[error("--parent-token-file and --parent-ca-file go with a parent at https:// alone")]
    Superfluous,
}

impl ParentArgument {
    /// Together with the files that go with it.
    pub(crate) fn with(
        self,
        token: Option<PathBuf>,
        authority: Option<PathBuf>,
    ) -> Result<ParentAddress, ParentMismatch> {
        match (self, token, authority) {
            (Self::Unix(path), None, None) => Ok(ParentAddress::Unix(path)),
            (Self::Unix(_), ..) => Err(ParentMismatch::Superfluous),
            (Self::Https { host, port }, Some(token), Some(authority)) => {
                Ok(ParentAddress::Https {
                    host,
                    port,
                    token,
                    authority,
                })
            }
            (Self::Https { .. }, ..) => Err(ParentMismatch::Missing),
        }
    }
}

impl FromStr for ParentArgument {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let read = match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Some(Self::Unix(path.into())),
            Some(("https", rest)) => rest.strip_prefix("//").and_then(host_and_port),
            _ => None,
        };
        read.ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

fn host_and_port(text: &str) -> Option<ParentArgument> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    // An address of IPv6 stands in brackets, so that its colons are not the port's.
    let bare = host
        .strip_prefix('[')
        .map_or(Some(host), |rest| rest.strip_suffix(']'))?;
    let is_host = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    let is_v6 = bare.len() < host.len() && bare.parse::<std::net::Ipv6Addr>().is_ok();
    let is_name = bare.len() == host.len() && bare.chars().all(is_host);
    let right = port > 0 && !bare.is_empty() && (is_v6 || is_name);
    right.then(|| ParentArgument::Https {
        host: bare.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_an_absolute_socket_or_a_host_and_a_port() {
        let https = |host: &str, port| ParentArgument::Https {
            host: host.into(),
            port,
        };
        for (text, right) in [
            (
                "unix:/run/parent.sock",
                ParentArgument::Unix("/run/parent.sock".into()),
            ),
            (
                "https://lumadb-operator.lumadb-system.svc:8443",
                https("lumadb-operator.lumadb-system.svc", 8443),
            ),
            ("https://127.0.0.1:1", https("127.0.0.1", 1)),
            ("https://[::1]:8443", https("::1", 8443)),
        ] {
            assert_eq!(text.parse(), Ok(right), "{text}");
        }
        for bad in [
            "unix:parent.sock",
            "http://x:1",
            "https://x",
            "https://x:0",
            "https://x:99999",
            "https://x:1/path",
            "https://:1",
            "https://::1:8443",
            "https://[x]:1",
            "https://user@x:1",
            "https:x:1",
            "",
        ] {
            assert!(bad.parse::<ParentArgument>().is_err(), "{bad}");
        }
    }

    #[test]
    fn files_go_with_https_alone() {
        let unix: ParentArgument = "unix:/p".parse().expect("an address");
        let https: ParentArgument = "https://x:1".parse().expect("an address");
        let file = || Some(PathBuf::from("/file"));
        assert!(unix.clone().with(None, None).is_ok());
        assert_eq!(unix.with(file(), file()), Err(ParentMismatch::Superfluous));
        assert!(https.clone().with(file(), file()).is_ok());
        assert_eq!(
            https.clone().with(file(), None),
            Err(ParentMismatch::Missing)
        );
        assert_eq!(https.with(None, None), Err(ParentMismatch::Missing));
    }
}
