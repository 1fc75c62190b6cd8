//! Which addresses a source may have: what a tenant names must not lead into our own networks.

use super::Failure;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Longest time for a name to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Most addresses of a host that are tried.
const ADDRESSES_MAX: usize = 8;

/// Where sources may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Networks {
    /// On the internet alone.
    #[default]
    Public,
    /// Anywhere, this machine and its networks too.
    Any,
}

impl Networks {
    /// Resolves a host once; what comes back is what may be connected to.
    pub(super) async fn resolve(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let looking = tokio::net::lookup_host((host, port));
        let found: Vec<_> = match tokio::time::timeout(RESOLVE_TIMEOUT, looking).await {
            Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let Some(first) = found.first().copied() else {
            return Err(Failure::new(format!(
                "The source's host {host} has no address that we find."
            )));
        };
        let admitted: Vec<_> = found
            .into_iter()
            .filter(|address| self == Self::Any || is_public(address.ip()))
            .collect();
        if admitted.is_empty() {
            return Err(Failure::new(format!(
                "The source's address {} is not a public one, and this cloud takes no others. \
                 Its operator can change that: import.networks = \"any\" (LUMADB_IMPORT_NETWORKS).",
                first.ip()
            )));
        }
        Ok(admitted)
    }
}

/// Whether an address is one of the internet's: IANA's special-purpose registries name those that
/// are not. Forms that carry an IPv4 address are judged by it.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!((a, b, c), (0, ..) | (192, 0, 0) | (192, 88, 99))
        // Shared by providers; some keep metadata there.
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || a >= 224;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Mapped, translated (NAT64) and tunneled (6to4) ones.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // Teredo and other protocols' own, and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // Global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
        for other in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "0.0.0.0",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
            "ff02::1",
        ] {
            assert!(!is_public(other.parse().expect("an address")), "{other}");
        }
    }

    #[tokio::test]
    async fn a_refusal_names_the_setting() {
        let refused = Networks::Public.resolve("127.0.0.1", 5432).await;
        let text = refused.expect_err("refused").to_string();
        assert!(text.contains("import.networks"), "{text}");
        let admitted = Networks::Any.resolve("127.0.0.1", 5432).await;
        assert_eq!(admitted.expect("admitted").len(), 1);
    }
}
