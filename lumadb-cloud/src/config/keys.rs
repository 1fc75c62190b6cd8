//! Every key, and the variable by which it can be set.

/// Starts every variable of ours.
pub(super) const PREFIX: &str = "LUMADB_";

/// The account's secret key at Stripe, for those who keep it in no file.
pub(crate) const SECRET_KEY_VARIABLE: &str = "LUMADB_STRIPE_SECRET_KEY";

/// The secret that Stripe signs webhooks with, for those who keep it in no file.
pub(crate) const WEBHOOK_SECRET_VARIABLE: &str = "LUMADB_STRIPE_WEBHOOK_SECRET";

/// Variables with our prefix that are not configuration.
pub(super) const OTHER_VARIABLES: [&str; 8] = [
    "LUMADB_DATA_DIR",
    "LUMADB_CONFIG",
    // How much nodes log; they know no configuration.
    "LUMADB_LOG",
    // The mark that a child is found again by.
    "LUMADB_PROCESS",
    // The bound of a child's log.
    "LUMADB_LOG_BYTES_MAX",
    // Where the Makefile keeps what it downloads.
    "LUMADB_CACHE",
    // Secrets, which stand in no configuration.
    SECRET_KEY_VARIABLE,
    WEBHOOK_SECRET_VARIABLE,
];

/// What a variable's text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    /// Separated by commas.
    List,
}

/// Every key, in the order of [`Config`](super::Config).
pub(super) const KEYS: &[(&str, &str, Kind)] = &[
    ("http", "listen", Kind::Text),
    ("http", "public_url", Kind::Text),
    ("http", "trusted_proxies", Kind::List),
    ("edge", "listen", Kind::Text),
    ("edge", "host", Kind::Text),
    ("edge", "plaintext", Kind::Text),
    ("edge", "hand_over", Kind::Flag),
    ("edge", "sessions_max", Kind::Number),
    ("edge", "leave_seconds", Kind::Number),
    ("edge", "metrics_listen", Kind::Text),
    ("edge", "control_dir", Kind::Text),
    ("edge", "certificate_file", Kind::Text),
    ("edge", "key_file", Kind::Text),
    ("engine", "dir", Kind::Text),
    ("node", "program", Kind::Text),
    ("region", "name", Kind::Text),
    ("region", "display_name", Kind::Text),
    ("region", "runtime", Kind::Text),
    ("region", "edge_host", Kind::Text),
    ("region", "edge_port", Kind::Number),
    ("region", "edge_authority", Kind::Text),
    ("cluster", "kubeconfig", Kind::Text),
    ("cluster", "namespace", Kind::Text),
    ("cluster", "operator_namespace", Kind::Text),
    ("cluster", "link_address", Kind::Text),
    ("cluster", "link_listen", Kind::Text),
    ("cluster", "link_certificate_file", Kind::Text),
    ("cluster", "link_key_file", Kind::Text),
    ("cluster", "link_authority_file", Kind::Text),
    ("cluster", "edges_address", Kind::Text),
    ("cluster", "edges_listen", Kind::Text),
    ("cluster", "storage_class", Kind::Text),
    ("cluster", "storage_gib", Kind::Number),
    ("cluster", "storage_gib_max", Kind::Number),
    ("pool", "size", Kind::Number),
    ("object_store", "listen", Kind::Text),
    ("object_store", "bucket", Kind::Text),
    ("object_store", "endpoint", Kind::Text),
    ("object_store", "region", Kind::Text),
    ("object_store", "prefix", Kind::Text),
    ("object_store", "path_style", Kind::Flag),
    ("object_store", "credentials_file", Kind::Text),
    ("object_store", "storage_class", Kind::Text),
    ("object_store", "server_side_encryption", Kind::Text),
    ("control", "durability", Kind::Text),
    ("kms", "key_id", Kind::Text),
    ("kms", "endpoint", Kind::Text),
    ("kms", "region", Kind::Text),
    ("operator", "kubeconfig", Kind::Text),
    ("operator", "namespace", Kind::Text),
    ("operator", "identity", Kind::Text),
    ("operator", "listen", Kind::Text),
    ("operator", "concurrency", Kind::Number),
    ("operator", "system_namespace", Kind::Text),
    ("operator", "monitoring_namespace", Kind::Text),
    ("operator", "image", Kind::Text),
    ("operator", "parent", Kind::Text),
    ("operator", "parent_listen", Kind::Text),
    ("operator", "object_store_networks", Kind::List),
    ("operator", "object_store_port", Kind::Number),
    ("import", "networks", Kind::Text),
    ("mail", "from", Kind::Text),
    ("mail", "smtp_url_file", Kind::Text),
    ("billing", "clock_moves", Kind::Flag),
    ("billing", "seller_name", Kind::Text),
    ("billing", "seller_address", Kind::List),
    ("billing", "seller_tax_id", Kind::Text),
    ("billing", "seller_email", Kind::Text),
    ("billing", "transfer_account", Kind::List),
    ("stripe", "secret_key_file", Kind::Text),
    ("stripe", "webhook_secret_file", Kind::Text),
    ("stripe", "test_server", Kind::Flag),
    ("stripe", "test_server_faults", Kind::Number),
    ("stripe", "listen", Kind::Text),
    ("limits", "requests_per_minute", Kind::Number),
    ("limits", "log_in_failures_per_account", Kind::Number),
    ("limits", "log_in_failures_per_address", Kind::Number),
    ("limits", "sign_ups_per_address", Kind::Number),
    ("limits", "mails_per_account", Kind::Number),
    ("limits", "resets_per_address", Kind::Number),
    ("quotas", "storage_bytes", Kind::Number),
    ("quotas", "requests_per_day", Kind::Number),
    ("quotas", "transfer_out_bytes_per_month", Kind::Number),
    ("quotas", "vector_operations_per_month", Kind::Number),
    ("log", "level", Kind::Text),
    ("log", "json", Kind::Flag),
    ("telemetry", "otlp_endpoint", Kind::Text),
];

/// Variable of each key, made once from [`KEYS`] by [`variable_name`].
pub(super) fn variable_name(section: &str, key: &str) -> String {
    format!("{PREFIX}{section}_{key}").to_uppercase()
}

/// A variable's text as the value of a key; the error says what is wrong with it.
pub(super) fn value_of(kind: Kind, text: &str) -> Result<toml::Value, String> {
    match kind {
        Kind::Text => Ok(text.into()),
        Kind::Number => text
            .parse::<i64>()
            .map(toml::Value::from)
            .map_err(|_| format!("`{text}` is not a whole number")),
        Kind::Flag => match text {
            "true" | "1" | "yes" => Ok(true.into()),
            "false" | "0" | "no" => Ok(false.into()),
            _ => Err(format!("`{text}` is neither true nor false")),
        },
        Kind::List => {
            let words = text
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty());
            Ok(words.map(toml::Value::from).collect::<Vec<_>>().into())
        }
    }
}

/// The known variable that differs least, if it differs little.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let known = KEYS.iter().map(|(section, key, _)| {
        let name: &'static str = Box::leak(variable_name(section, key).into_boxed_str());
        name
    });
    let far = known.map(|known| (distance(known, name), known));
    let (distance, nearest) = far.min()?;
    (distance <= 3).then_some(nearest)
}

/// Edits between two words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, letter) in left.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, other) in right.iter().enumerate() {
            let above = row[j + 1];
            let replaced = corner + usize::from(letter != *other);
            row[j + 1] = replaced.min(above + 1).min(row[j] + 1);
            corner = above;
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::billing::{Billing, Stripe};
    use crate::config::cluster::Cluster;
    use crate::config::control::{Control, ControlDurability};
    use crate::config::edge::{Edge, Region};
    use crate::config::limits::QuotasConfig;
    use crate::config::object_store::{Kms, ObjectStore};
    use crate::config::operator::Operator;
    use crate::config::settings::{Config, Engine, Http, Mail, Node, Telemetry};
    use std::net::SocketAddr;

    #[test]
    fn the_keys_with_variables_are_all_keys() {
        let full = Config {
            http: Http {
                public_url: Some("x".into()),
                ..Http::default()
            },
            edge: Edge {
                metrics_listen: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
                control_dir: Some("x".into()),
                certificate_file: Some("x".into()),
                key_file: Some("x".into()),
                ..Edge::default()
            },
            engine: Engine {
                dir: Some("x".into()),
            },
            node: Node {
                program: Some("x".into()),
            },
            region: Region {
                edge_host: Some("x".into()),
                edge_port: Some(1),
                edge_authority: Some("x".into()),
                ..Region::default()
            },
            cluster: Cluster {
                kubeconfig: Some("x".into()),
                namespace: Some("x".into()),
                link_address: Some("x".into()),
                link_certificate_file: Some("x".into()),
                link_key_file: Some("x".into()),
                link_authority_file: Some("x".into()),
                edges_address: Some("x".into()),
                edges_listen: Some(SocketAddr::from(([127, 0, 0, 1], 1))),
                storage_class: Some("x".into()),
                ..Cluster::default()
            },
            object_store: ObjectStore {
                bucket: Some("x".into()),
                endpoint: Some("x".into()),
                prefix: Some("x".into()),
                credentials_file: Some("x".into()),
                storage_class: Some("x".into()),
                server_side_encryption: Some("x".into()),
                ..ObjectStore::default()
            },
            control: Control {
                durability: Some(ControlDurability::S3),
            },
            kms: Kms {
                key_id: Some("x".into()),
                endpoint: Some("x".into()),
                region: Some("x".into()),
            },
            operator: Operator {
                kubeconfig: Some("x".into()),
                namespace: Some("x".into()),
                identity: Some("x".into()),
                ..Operator::default()
            },
            mail: Mail {
                smtp_url_file: Some("x".into()),
                ..Mail::default()
            },
            billing: Billing {
                seller_tax_id: Some("x".into()),
                seller_email: Some("x".into()),
                ..Billing::default()
            },
            stripe: Stripe {
                secret_key_file: Some("x".into()),
                webhook_secret_file: Some("x".into()),
                ..Stripe::default()
            },
            quotas: QuotasConfig {
                storage_bytes: Some(1),
                requests_per_day: Some(1),
                transfer_out_bytes_per_month: Some(1),
                vector_operations_per_month: Some(1),
            },
            telemetry: Telemetry {
                otlp_endpoint: Some("x".into()),
            },
            ..Config::default()
        };
        let table = toml::Table::try_from(&full).expect("a table");
        let mut written: Vec<String> = Vec::new();
        for (section, keys) in &table {
            for key in keys.as_table().expect("a section").keys() {
                written.push(variable_name(section, key));
            }
        }
        let mut known: Vec<String> = KEYS
            .iter()
            .map(|(section, key, _)| variable_name(section, key))
            .collect();
        written.sort();
        known.sort();
        assert_eq!(written, known);
    }
}
