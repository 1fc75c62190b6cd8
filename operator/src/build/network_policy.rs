//! Who may talk to a database's pod, and whom it may talk to: everything else is denied.

use super::{METRICS_PORT, SQL_PORT, database_name, metadata, selector, stamp};
use crate::api::LumaDatabase;
use crate::settings::Settings;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeMap;

/// The label that the cluster gives to every namespace.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

const NAME_LABEL: &str = "app.kubernetes.io/name";

/// Label of pods that may connect without an edge; its value is the database's name.
const CLIENT_LABEL: &str = "lumadb.cloud/client";

const DNS_PORT: u16 = 53;

/// Left out of everywhere: private networks, and the metadata services of clouds (169.254.169.254).
const PRIVATE_V4: [&str; 5] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
];
const PRIVATE_V6: [&str; 2] = ["fc00::/7", "fe80::/10"];

/// The policy of a database.
pub fn network_policy(database: &LumaDatabase, settings: &Settings) -> NetworkPolicy {
    let system = &settings.system_namespace;
    let monitoring = NetworkPolicyPeer {
        namespace_selector: Some(matching(NAMESPACE_LABEL, &settings.monitoring_namespace)),
        ..NetworkPolicyPeer::default()
    };
    stamp(NetworkPolicy {
        metadata: metadata(database, database_name(database)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(selector(database)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            ingress: Some(vec![
                ingress(peer(system, NAME_LABEL, "lumadb-edge"), SQL_PORT),
                ingress(clients(database), SQL_PORT),
                ingress(monitoring, METRICS_PORT),
            ]),
            egress: Some(egress_rules(settings)),
        }),
    })
}

/// Pods of the database's own namespace that name it as theirs.
fn clients(database: &LumaDatabase) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(matching(CLIENT_LABEL, &database_name(database))),
        ..NetworkPolicyPeer::default()
    }
}

fn egress_rules(settings: &Settings) -> Vec<NetworkPolicyEgressRule> {
    let operator = peer(&settings.system_namespace, NAME_LABEL, "lumadb-operator");
    let store: Vec<_> = settings
        .object_store_networks
        .iter()
        .map(|network| block(network))
        .collect();
    let mut rules = vec![
        egress(vec![operator], vec![port("TCP", settings.parent_port)]),
        egress(
            vec![peer("kube-system", "k8s-app", "kube-dns")],
            vec![port("UDP", DNS_PORT), port("TCP", DNS_PORT)],
        ),
    ];
    // A rule that names nobody would let everybody through.
    if !store.is_empty() {
        rules.push(egress(store, vec![port("TCP", settings.object_store_port)]));
    }
    rules
}

fn matching(label: &str, value: &str) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(label.into(), value.into())])),
        ..LabelSelector::default()
    }
}

fn peer(namespace: &str, label: &str, value: &str) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(matching(NAMESPACE_LABEL, namespace)),
        pod_selector: Some(matching(label, value)),
        ip_block: None,
    }
}

fn block(network: &str) -> NetworkPolicyPeer {
    let left_out: &[&str] = match network {
        "0.0.0.0/0" => &PRIVATE_V4,
        "::/0" => &PRIVATE_V6,
        _ => &[],
    };
    let except: Vec<String> = left_out.iter().map(|&network| network.into()).collect();
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: network.into(),
            except: (!except.is_empty()).then_some(except),
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.into()),
        port: Some(IntOrString::Int(number.into())),
        end_port: None,
    }
}

fn ingress(from: NetworkPolicyPeer, number: u16) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from: Some(vec![from]),
        ports: Some(vec![port("TCP", number)]),
    }
}

fn egress(to: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule {
        to: Some(to),
        ports: Some(ports),
    }
}
