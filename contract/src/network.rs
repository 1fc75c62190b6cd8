//! Networks that clients may come from.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most networks of one database.
pub const ALLOWED_NETWORKS_MAX: usize = 64;

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("`{0}` is no address and no network such as 203.0.113.0/24 or 2001:db8::/32")]
    Syntax(String),
    #[error(
        "`{text}` names an address inside of a network: write {network}, or {address} for it alone"
    )]
    HostBits {
        text: String,
        network: IpNet,
        address: IpNet,
    },
    #[error("`{0}` is an IPv4 network: write it as one")]
    Mapped(String),
}

/// Reads a network, or an address, which is a network of its own.
pub fn parse(text: &str) -> Result<IpNet, NetworkError> {
    let syntax = |_| NetworkError::Syntax(text.to_owned());
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(syntax)?,
    };
    if network.trunc() != network {
        return Err(NetworkError::HostBits {
            text: text.to_owned(),
            network: network.trunc(),
            address: network.addr().into(),
        });
    }
    match network.addr() {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            Err(NetworkError::Mapped(text.to_owned()))
        }
        _ => Ok(network),
    }
}

/// Networks that the clients of a database may come from; none: they may come from everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct AllowedNetworks(Vec<IpNet>);

impl AllowedNetworks {
    /// Each network once.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let mut all: Vec<IpNet> = Vec::new();
        for network in networks {
            if !all.contains(&network) {
                all.push(network);
            }
        }
        Self(all)
    }

    /// Each as [`parse`] reads it.
    pub fn of_texts(texts: &[String]) -> Result<Self, NetworkError> {
        let networks = texts.iter().map(|text| parse(text));
        networks.collect::<Result<Vec<_>, _>>().map(Self::new)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// As [`parse`] reads them.
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(IpNet::to_string).collect()
    }

    /// Whether a client of this address may come in.
    pub fn admit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }
}

impl TryFrom<Vec<String>> for AllowedNetworks {
    type Error = NetworkError;

    fn try_from(texts: Vec<String>) -> Result<Self, NetworkError> {
        Self::of_texts(&texts)
    }
}

impl From<AllowedNetworks> for Vec<String> {
    fn from(networks: AllowedNetworks) -> Self {
        networks.to_texts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(texts: &[&str]) -> AllowedNetworks {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        AllowedNetworks::of_texts(&texts).expect("networks")
    }

    #[test]
    fn an_address_is_admitted_by_its_network_whichever_way_it_came() {
        let networks = allowed(&["203.0.113.0/24", "2001:db8::/32", "198.51.100.7"]);
        for good in [
            "203.0.113.9",
            "::ffff:203.0.113.9",
            "2001:db8::1",
            "198.51.100.7",
        ] {
            assert!(networks.admit(good.parse().expect("an address")), "{good}");
        }
        for bad in ["203.0.114.9", "2001:db9::1", "198.51.100.8", "127.0.0.1"] {
            assert!(!networks.admit(bad.parse().expect("an address")), "{bad}");
        }
        assert!(AllowedNetworks::default().admit("192.0.2.1".parse().expect("an address")));
    }

    #[test]
    fn what_is_no_network_is_said_to_be_none() {
        let error = |text: &str| parse(text).expect_err("no network").to_string();
        assert!(error("10.0.0.0/33").contains("`10.0.0.0/33`"));
        assert!(error("example.com").contains("no address"));
        assert!(error(" 10.0.0.0/8").contains("no address"));
        let inside = error("10.1.2.3/8");
        assert!(
            inside.contains("10.0.0.0/8") && inside.contains("10.1.2.3/32"),
            "{inside}"
        );
        assert!(error("::ffff:10.0.0.0/104").contains("IPv4"));
        assert_eq!(
            allowed(&["10.0.0.1", "10.0.0.1/32"]).to_texts(),
            ["10.0.0.1/32"]
        );
    }
}
