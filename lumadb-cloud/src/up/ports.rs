//! Ports: chosen before anything is started, and the same again at the next start.

use super::error::UpError;
use super::folder::read_optional;
use crate::config::{Config, RuntimeKind};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::process::Processes;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// Where ports are looked for if the configuration says 0: below those that Linux gives to whoever
/// names none, clients among them (32768 to 60999, `ip_local_port_range`), and below the node ports
/// of Kubernetes (from 30000). One of those might have another owner before the service listens, or
/// at the next start.
const FREE_FIRST: u16 = 20_000;
const FREE_COUNT: u16 = 4_000;

/// Where the services listen, every port a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) edge: SocketAddr,
    /// Of our own S3 server; what is configured, where another one is used.
    pub(crate) object_store: SocketAddr,
    /// Of the server that stands in for Stripe; what is configured, where none does.
    pub(crate) stripe: SocketAddr,
}

/// What was taken where the configuration said port 0.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Taken {
    http: Option<u16>,
    edge: Option<u16>,
    #[serde(default)]
    object_store: Option<u16>,
    #[serde(default)]
    stripe: Option<u16>,
}

/// Takes the configured addresses, or free ones where the port is 0. A service that runs already
/// keeps its own.
pub(crate) fn choose(data: &DataFolder, config: &Config) -> Result<Addresses, UpError> {
    let processes = Processes::new(data.clone());
    let path = data.run().join("ports.json");
    let failed = |source| UpError::folder(data.root(), &path, source);
    let taken: Taken = read_optional(&path)
        .map_err(failed)?
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    // Until all are chosen: a free port that was let go may be found free again.
    let mut held = Vec::new();
    let mut pick = |service, address, taken, setting, variable| {
        let runs = processes.find(service).is_some();
        pick(address, taken, runs, &mut held, setting, variable)
    };
    let http = pick(
        "api",
        config.http.listen,
        taken.http,
        "http.listen",
        "LUMADB_HTTP_LISTEN",
    )?;
    let edge = pick(
        "edge",
        config.edge.listen,
        taken.edge,
        "edge.listen",
        "LUMADB_EDGE_LISTEN",
    )?;
    let object_store = if config.object_store.is_built_in() {
        pick(
            "s3",
            config.object_store.listen,
            taken.object_store,
            "object_store.listen",
            "LUMADB_OBJECT_STORE_LISTEN",
        )?
    } else {
        config.object_store.listen
    };
    let stripe = if config.stripe.is_stand_in() {
        pick(
            "stripe-fake",
            config.stripe.listen,
            taken.stripe,
            "stripe.listen",
            "LUMADB_STRIPE_LISTEN",
        )?
    } else {
        config.stripe.listen
    };
    for (address, setting, variable) in of_cluster(config) {
        pick("worker", address, None, setting, variable)?;
    }
    let taken = Taken {
        http: Some(http.port()),
        edge: Some(edge.port()),
        object_store: Some(object_store.port()).filter(|port| *port != 0),
        stripe: Some(stripe.port()).filter(|port| *port != 0),
    };
    let text = serde_json::to_vec(&taken).map_err(|error| failed(error.into()))?;
    std::fs::write(&path, text).map_err(failed)?;
    Ok(Addresses {
        http,
        edge,
        object_store,
        stripe,
    })
}

/// Where the worker of a region that is a cluster listens: others were told these addresses.
fn of_cluster(config: &Config) -> Vec<(SocketAddr, &'static str, &'static str)> {
    if config.region.runtime != RuntimeKind::Kubernetes {
        return Vec::new();
    }
    let link = (
        config.cluster.link_listen,
        "cluster.link_listen",
        "LUMADB_CLUSTER_LINK_LISTEN",
    );
    let edges = config.cluster.edges_listen.map(|address| {
        let variable = "LUMADB_CLUSTER_EDGES_LISTEN";
        (address, "cluster.edges_listen", variable)
    });
    [Some(link), edges].into_iter().flatten().collect()
}

/// Where the object store of an `up` that runs listens; nothing is chosen.
pub(crate) fn object_store(data: &DataFolder, config: &Config) -> Result<SocketAddr, UpError> {
    let mut address = config.object_store.listen;
    if address.port() == 0 {
        let path = data.run().join("ports.json");
        let taken = read_optional(&path)
            .map_err(|source| UpError::folder(data.root(), &path, source))?
            .and_then(|text| serde_json::from_slice::<Taken>(&text).ok());
        address.set_port(taken.and_then(|taken| taken.object_store).unwrap_or(0));
    }
    Ok(address)
}

fn pick(
    wanted: SocketAddr,
    taken: Option<u16>,
    runs: bool,
    held: &mut Vec<TcpListener>,
    setting: &'static str,
    variable: &'static str,
) -> Result<SocketAddr, UpError> {
    let mut free = |address: SocketAddr| -> io::Result<SocketAddr> {
        let listener = match address.port() {
            0 => bind_free(address.ip())?,
            _ => TcpListener::bind(address)?,
        };
        let address = listener.local_addr()?;
        held.push(listener);
        Ok(address)
    };
    if wanted.port() == 0
        && let Some(port) = taken
    {
        let again = SocketAddr::new(wanted.ip(), port);
        if runs || free(again).is_ok() {
            return Ok(again);
        }
    }
    match free(wanted) {
        Ok(address) => Ok(address),
        // It is our own service that listens there.
        Err(_) if runs => Ok(wanted),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(UpError::PortInUse {
            address: wanted,
            setting,
            variable,
        }),
        Err(source) => Err(UpError::Listen {
            address: wanted,
            setting,
            source,
        }),
    }
}

/// Listens on a free port. Two that look at once begin at different places.
fn bind_free(ip: IpAddr) -> io::Result<TcpListener> {
    let [low, high, ..] = std::process::id().to_le_bytes();
    let begin = u16::from_le_bytes([low, high]).wrapping_mul(997) % FREE_COUNT;
    for looked_at in 0..FREE_COUNT {
        let port = FREE_FIRST + (begin + looked_at) % FREE_COUNT;
        match TcpListener::bind((ip, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    TcpListener::bind((ip, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn pick_one(wanted: u16, taken: Option<u16>, held: &mut Vec<TcpListener>) -> Option<u16> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, wanted));
        let picked = pick(wanted, taken, false, held, "x.listen", "LUMADB_X_LISTEN");
        picked.ok().map(|address| address.port())
    }

    #[test]
    fn what_was_chosen_is_not_chosen_again() {
        let mut held = Vec::new();
        let first = pick_one(0, None, &mut held).expect("a free one");
        let second = pick_one(0, Some(first), &mut held).expect("a free one");
        assert_ne!(first, second);
        assert_eq!(pick_one(first, None, &mut held), None);
        let looked_at = FREE_FIRST..FREE_FIRST + FREE_COUNT;
        assert!(looked_at.contains(&first) && looked_at.contains(&second));
    }
}
