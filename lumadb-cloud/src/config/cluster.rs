//! What is said of a region that is a Kubernetes cluster.

use super::edge::{Region, RuntimeKind};
use super::object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Bounds of a volume, gibibytes: those of the operator's definition.
const STORAGE_GIB: std::ops::RangeInclusive<u32> = 1..=65_536;

/// Longest name of a namespace, bytes (RFC 1123).
const LABEL_BYTES_MAX: usize = 63;

/// What is wrong: section, key, and what it does.
type Wrong = (&'static str, &'static str, String);

/// The cluster whose operator runs the region's databases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cluster {
    /// How the cluster is reached; without it by the service account of the pod, `KUBECONFIG` or
    /// `~/.kube/config`.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Namespace of the region's databases.
    pub(crate) namespace: Option<String>,
    /// Namespace of the operator: there it finds where this worker is.
    pub(crate) operator_namespace: String,
    /// Where the operator reaches this worker, such as `https://region.example.com:8444`.
    pub(crate) link_address: Option<String>,
    /// Where this worker listens for the operator.
    pub(crate) link_listen: SocketAddr,
    /// Certificate chain of that endpoint, its key, and the authority that it is verified with, each
    /// PEM; without them the data folder's own authority issues one.
    pub(crate) link_certificate_file: Option<PathBuf>,
    pub(crate) link_key_file: Option<PathBuf>,
    pub(crate) link_authority_file: Option<PathBuf>,
    /// Where edges in the cluster reach this worker, such as `https://region.example.com:8445`, and where
    /// it listens for them; both or none. The certificate comes from where that of the link does.
    pub(crate) edges_address: Option<String>,
    pub(crate) edges_listen: Option<SocketAddr>,
    /// Storage class of databases' volumes; the cluster's default unless it is named.
    pub(crate) storage_class: Option<String>,
    /// Size of a new volume, GiB.
    pub(crate) storage_gib: u32,
    /// Up to where a volume grows by itself, GiB.
    pub(crate) storage_gib_max: u32,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            namespace: None,
            operator_namespace: "lumadb-system".into(),
            link_address: None,
            link_listen: SocketAddr::from(([127, 0, 0, 1], 8444)),
            link_certificate_file: None,
            link_key_file: None,
            link_authority_file: None,
            edges_address: None,
            edges_listen: None,
            storage_class: None,
            storage_gib: 10,
            storage_gib_max: 1024,
        }
    }
}

impl Cluster {
    /// What is wrong, with the section and the key at fault.
    pub(super) fn check(&self, region: &Region, store: &ObjectStore) -> Result<(), Wrong> {
        check_edge(region)?;
        match region.runtime {
            RuntimeKind::Local => self.check_unused(),
            RuntimeKind::Kubernetes => {
                self.check_used(region.edge_host.is_some())?;
                check_region(region)?;
                check_store(store)
            }
        }
    }

    fn check_unused(&self) -> Result<(), Wrong> {
        let given = [
            ("kubeconfig", self.kubeconfig.is_some()),
            ("namespace", self.namespace.is_some()),
            ("link_address", self.link_address.is_some()),
            (
                "link_certificate_file",
                self.link_certificate_file.is_some(),
            ),
            ("link_key_file", self.link_key_file.is_some()),
            ("link_authority_file", self.link_authority_file.is_some()),
            ("edges_address", self.edges_address.is_some()),
            ("edges_listen", self.edges_listen.is_some()),
            ("storage_class", self.storage_class.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => wrong(key, "is of no use while region.runtime is local"),
            None => Ok(()),
        }
    }

    fn check_used(&self, has_edge: bool) -> Result<(), Wrong> {
        let Some(namespace) = &self.namespace else {
            return wrong(
                "namespace",
                "must be said where region.runtime is kubernetes",
            );
        };
        if !is_label(namespace) {
            return wrong("namespace", "is no name of a namespace");
        }
        if !is_label(&self.operator_namespace) {
            return wrong("operator_namespace", "is no name of a namespace");
        }
        if *namespace == self.operator_namespace {
            let why = "is the operator's too, whose Secrets no database's pod should be beside";
            return wrong("namespace", why);
        }
        if self.link_host().is_none() {
            let why = "must say where region.runtime is kubernetes how the operator reaches this \
                       worker, as https://host:port";
            return wrong("link_address", why);
        }
        if self.edges_address.is_some() != self.edges_listen.is_some() {
            return wrong("edges_address", "goes with edges_listen: both or none");
        }
        if self.edges_address.is_some() && self.edges_host().is_none() {
            return wrong("edges_address", "is of the form https://host:port");
        }
        if self.edges_address.is_some() && !has_edge {
            let why = "is of use where region.edge_host says where clients reach the edges";
            return wrong("edges_address", why);
        }
        let files = [
            &self.link_certificate_file,
            &self.link_key_file,
            &self.link_authority_file,
        ];
        let given = files.iter().filter(|file| file.is_some()).count();
        if given != 0 && given != files.len() {
            let why = "goes with link_key_file and link_authority_file: all three or none";
            return wrong("link_certificate_file", why);
        }
        if !STORAGE_GIB.contains(&self.storage_gib) {
            return wrong("storage_gib", "is from 1 to 65536");
        }
        if !STORAGE_GIB.contains(&self.storage_gib_max) || self.storage_gib_max < self.storage_gib {
            return wrong("storage_gib_max", "is from storage_gib to 65536");
        }
        Ok(())
    }

    /// Host of the link's address, if that is one.
    pub(crate) fn link_host(&self) -> Option<String> {
        host_of(self.link_address.as_ref()?)
    }

    /// Host of the address for edges, if that is one.
    pub(crate) fn edges_host(&self) -> Option<String> {
        host_of(self.edges_address.as_ref()?)
    }
}

/// Host of an address of the form `https://host:port`.
fn host_of(address: &str) -> Option<String> {
    let address: axum::http::Uri = address.parse().ok()?;
    let is_whole = address.scheme_str() == Some("https")
        && address.port_u16().is_some_and(|port| port > 0)
        && address.path() == "/"
        && address.query().is_none();
    let host = address.host()?.trim_matches(['[', ']']);
    is_whole.then(|| host.to_owned())
}

/// It becomes the value of a label.
fn check_region(region: &Region) -> Result<(), Wrong> {
    if is_label(&region.name) {
        return Ok(());
    }
    Err((
        "region",
        "name",
        "is of small letters, digits and hyphens".into(),
    ))
}

/// It stands in connection strings, in none of which it is escaped.
fn check_edge(region: &Region) -> Result<(), Wrong> {
    let wrong = |key, what: &str| Err(("region", key, what.to_owned()));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    match (&region.edge_host, region.edge_port) {
        (None, None) => Ok(()),
        _ if region.runtime == RuntimeKind::Local => wrong(
            "edge_host",
            "is of no use while region.runtime is local: edge.host and edge.listen say it",
        ),
        (Some(host), Some(1..)) if !host.is_empty() && host.bytes().all(plain) => Ok(()),
        (Some(_), Some(1..)) => wrong("edge_host", "is no name of a host and no IPv4 address"),
        (_, Some(0)) => wrong("edge_port", "is from 1 to 65535"),
        _ => wrong("edge_host", "goes with edge_port: both or none"),
    }
}

/// A server of our own that nobody else reaches would leave the cluster's databases without archives.
fn check_store(store: &ObjectStore) -> Result<(), Wrong> {
    let address = store.listen.ip();
    if store.is_built_in() && (address.is_loopback() || address.is_unspecified()) {
        let why = "is an address that nodes in a cluster do not reach: name object_store.bucket, or \
                   an address of this machine in the cluster's network";
        return Err(("object_store", "listen", why.into()));
    }
    Ok(())
}

fn wrong(key: &'static str, what: &str) -> Result<(), Wrong> {
    Err(("cluster", key, what.to_owned()))
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LABEL_BYTES_MAX).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    static RIGHT: [(&str, &str); 4] = [
        ("LUMADB_REGION_RUNTIME", "kubernetes"),
        ("LUMADB_CLUSTER_NAMESPACE", "tenants"),
        (
            "LUMADB_CLUSTER_LINK_ADDRESS",
            "https://region.example.com:8444",
        ),
        ("LUMADB_OBJECT_STORE_BUCKET", "archives"),
    ];

    /// What is said with these variables changed; an empty one is left out.
    fn load(changed: &[(&str, &str)]) -> Result<Config, String> {
        let kept = RIGHT
            .iter()
            .filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        let given = kept.chain(changed).filter(|(_, text)| !text.is_empty());
        let given = given.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Config::load(None, given).map_err(|error| error.to_string())
    }

    #[test]
    fn a_cluster_takes_a_namespace_an_address_and_a_store_that_it_reaches() {
        let right = load(&[]).expect("right");
        assert_eq!(
            right.cluster.link_host().as_deref(),
            Some("region.example.com")
        );
        let six = load(&[("LUMADB_CLUSTER_LINK_ADDRESS", "https://[::1]:8444")]);
        assert_eq!(
            six.expect("right").cluster.link_host().as_deref(),
            Some("::1")
        );
        assert!(
            load(&[
                ("LUMADB_OBJECT_STORE_BUCKET", ""),
                ("LUMADB_OBJECT_STORE_LISTEN", "10.0.0.5:9000"),
            ])
            .is_ok()
        );
    }

    #[test]
    fn clients_connect_to_the_edge_that_is_said_or_to_that_of_this_machine() {
        let own = ("localhost", 6432);
        let right = load(&[]).expect("right");
        assert_eq!(
            right.region.clients_connect_to(own),
            ("localhost".into(), 6432)
        );
        let edge = [
            ("LUMADB_REGION_EDGE_HOST", "eu.example.com"),
            ("LUMADB_REGION_EDGE_PORT", "5432"),
        ];
        let right = load(&edge).expect("right");
        assert_eq!(
            right.region.clients_connect_to(own),
            ("eu.example.com".into(), 5432)
        );
    }

    #[test]
    fn wrong_combinations_are_named_by_the_key_at_fault() {
        for (key, text) in [
            ("CLUSTER_NAMESPACE", ""),
            ("CLUSTER_NAMESPACE", "Tenants"),
            ("CLUSTER_NAMESPACE", "lumadb-system"),
            ("CLUSTER_OPERATOR_NAMESPACE", "a/b"),
            ("CLUSTER_LINK_ADDRESS", ""),
            ("CLUSTER_LINK_ADDRESS", "http://region.example.com:8444"),
            ("CLUSTER_LINK_ADDRESS", "https://region.example.com"),
            (
                "CLUSTER_LINK_ADDRESS",
                "https://region.example.com:8444/path",
            ),
            ("CLUSTER_STORAGE_GIB", "0"),
            ("CLUSTER_STORAGE_GIB_MAX", "5"),
            ("REGION_NAME", "Über/see"),
            ("REGION_EDGE_HOST", "eu.example.com"),
            ("REGION_EDGE_PORT", "0"),
        ] {
            let name = format!("LUMADB_{key}");
            let error = load(&[(&name, text)]).expect_err(&name);
            assert!(error.contains(&name), "{error}");
        }
        let alone = load(&[("LUMADB_CLUSTER_LINK_KEY_FILE", "key.pem")]).expect_err("alone");
        assert!(alone.contains("link_certificate_file"), "{alone}");
        for (name, text) in [
            ("LUMADB_CLUSTER_EDGES_ADDRESS", "https://x:8445"),
            ("LUMADB_CLUSTER_EDGES_LISTEN", "0.0.0.0:8445"),
        ] {
            let error = load(&[(name, text)]).expect_err("alone");
            assert!(error.contains("cluster.edges_address"), "{error}");
        }
        let edges = [
            ("LUMADB_CLUSTER_EDGES_ADDRESS", "http://x:8445"),
            ("LUMADB_CLUSTER_EDGES_LISTEN", "0.0.0.0:8445"),
        ];
        let error = load(&edges).expect_err("no TLS");
        assert!(error.contains("https://host:port"), "{error}");
        let edges = [("LUMADB_CLUSTER_EDGES_ADDRESS", "https://x:8445"), edges[1]];
        let error = load(&edges).expect_err("nobody is led there");
        assert!(error.contains("region.edge_host"), "{error}");
        let loopback = load(&[("LUMADB_OBJECT_STORE_BUCKET", "")]).expect_err("not reached");
        assert!(loopback.contains("object_store.listen"), "{loopback}");
        for host in ["a@b", "[::1]", "a b"] {
            let edge = [
                ("LUMADB_REGION_EDGE_HOST", host),
                ("LUMADB_REGION_EDGE_PORT", "5432"),
            ];
            let error = load(&edge).expect_err(host);
            assert!(error.contains("REGION_EDGE_HOST"), "{error}");
        }
        let local = load(&[("LUMADB_REGION_RUNTIME", "local")]).expect_err("of no use");
        assert!(local.contains("cluster.namespace"), "{local}");
        let unknown = load(&[("LUMADB_REGION_RUNTIME", "docker")]).expect_err("unknown");
        assert!(unknown.contains("LUMADB_REGION_RUNTIME"), "{unknown}");
    }
}
