//! Configuration: compiled defaults, then one TOML file, then `LUMADB_…` variables.
//!
//! A key `[section] name` has the variable `LUMADB_SECTION_NAME`. What is not known is an error
//! that names it. Secrets are not configured: only the files that hold them are.

mod cluster;
mod settings;

pub(crate) use cluster::Cluster;
pub(crate) use settings::{Config, Kms, ObjectStore, PlaintextFrom, RuntimeKind, Stripe};

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Starts every variable of ours.
const PREFIX: &str = "LUMADB_";

/// The account's secret key at Stripe, for those who keep it in no file.
pub(crate) const SECRET_KEY_VARIABLE: &str = "LUMADB_STRIPE_SECRET_KEY";

/// The secret that Stripe signs webhooks with, for those who keep it in no file.
pub(crate) const WEBHOOK_SECRET_VARIABLE: &str = "LUMADB_STRIPE_WEBHOOK_SECRET";

/// Variables with our prefix that are not configuration.
const OTHER_VARIABLES: [&str; 8] = [
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

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("could not read the configuration {}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the configuration {} is not right: {message}", path.display())]
    Toml { path: PathBuf, message: String },
    #[error("the variable {name} is not known{}", hint(*near))]
    UnknownVariable {
        name: String,
        near: Option<&'static str>,
    },
    #[error("the variable {name} is not right: {message}")]
    Variable { name: String, message: String },
    #[error(
        "{section}.{key} ({}) is not right: it {message}",
        variable_name(section, key)
    )]
    Key {
        section: &'static str,
        key: &'static str,
        message: String,
    },
}

fn hint(near: Option<&'static str>) -> String {
    near.map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

/// What a variable's text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Flag,
    /// Separated by commas.
    List,
}

/// Every key, in the order of [`Config`].
const KEYS: &[(&str, &str, Kind)] = &[
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
fn variable_name(section: &str, key: &str) -> String {
    format!("{PREFIX}{section}_{key}").to_uppercase()
}

impl Config {
    /// Reads `file`, if there is one, and the variables.
    pub(crate) fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match file {
            Some(path) => table_of_file(path)?,
            None => toml::Table::new(),
        };
        for (name, text) in variables.filter(|(name, _)| name.starts_with(PREFIX)) {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let known = KEYS
                .iter()
                .find(|(section, key, _)| variable_name(section, key) == name);
            let Some((section, key, kind)) = known else {
                let near = nearest(&name);
                return Err(ConfigError::UnknownVariable { name, near });
            };
            let value = value_of(*kind, &text).map_err(|message| ConfigError::Variable {
                name: name.clone(),
                message,
            })?;
            // Read alone first, so that an error names the variable and not the file.
            let mut alone = toml::Table::new();
            alone.insert((*key).into(), value.clone());
            let mut whole = toml::Table::new();
            whole.insert((*section).into(), alone.into());
            whole
                .try_into::<Self>()
                .map_err(|error| ConfigError::Variable {
                    name,
                    message: error.message().to_owned(),
                })?;
            let entry = table.entry(*section).or_insert(toml::Table::new().into());
            if let Some(entry) = entry.as_table_mut() {
                entry.insert((*key).into(), value);
            }
        }
        let config: Self =
            table
                .try_into()
                .map_err(|error: toml::de::Error| ConfigError::Toml {
                    path: file.unwrap_or(Path::new("config.toml")).to_owned(),
                    message: error.message().to_owned(),
                })?;
        let store = config.object_store.check();
        let store = store.map_err(|(key, message)| ("object_store", key, message));
        let edge = || {
            let edge = config.edge.check();
            edge.map_err(|(key, message)| ("edge", key, message))
        };
        let cluster = || config.cluster.check(&config.region, &config.object_store);
        store
            .and_then(|()| edge())
            .and_then(|()| cluster())
            .map_err(|(section, key, message)| ConfigError::Key {
                section,
                key,
                message,
            })?;
        Ok(config)
    }
}

/// The configuration as a TOML file: every key, those without a value commented out.
pub(crate) fn document(config: &Config) -> Result<String, toml::ser::Error> {
    let table = toml::Table::try_from(config)?;
    let mut text = String::new();
    let mut current = "";
    for (section, key, _) in KEYS {
        if current != *section {
            let gap = if current.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{section}]");
            current = section;
        }
        let value = table.get(*section).and_then(|keys| keys.get(*key));
        // Writing into a string does not fail.
        let _ = match value {
            Some(value) => writeln!(text, "{key} = {value}"),
            None => writeln!(text, "# {key} ="),
        };
    }
    Ok(text)
}

/// Checks the file by itself, so that its errors have lines.
fn table_of_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |error: toml::de::Error| {
        let line = error
            .span()
            .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1)
            .map(|line| format!("line {line}: "))
            .unwrap_or_default();
        ConfigError::Toml {
            path: path.to_owned(),
            message: format!("{line}{}", error.message()),
        }
    };
    toml::from_str::<Config>(&text).map_err(wrong)?;
    toml::from_str::<toml::Table>(&text).map_err(wrong)
}

fn value_of(kind: Kind, text: &str) -> Result<toml::Value, String> {
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
fn nearest(name: &str) -> Option<&'static str> {
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
    use super::settings::{
        Billing, Edge, Engine, Http, Kms, Mail, Node, ObjectStore, Operator, QuotasConfig, Region,
        Stripe, Telemetry,
    };
    use super::*;
    use std::net::SocketAddr;

    fn variables(pairs: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
        let pairs = pairs
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()));
        pairs.collect::<Vec<_>>().into_iter()
    }

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

    #[test]
    fn the_document_reads_back_as_the_configuration() {
        let text = document(&Config::default()).expect("written");
        assert!(text.contains("# public_url ="), "{text}");
        let read: Config = toml::from_str(&text).expect("read");
        assert_eq!(read, Config::default());
    }

    #[test]
    fn a_variable_goes_before_the_default() {
        let given = variables(&[
            ("LUMADB_HTTP_LISTEN", "127.0.0.1:0"),
            ("LUMADB_POOL_SIZE", "7"),
            ("LUMADB_EDGE_HAND_OVER", "false"),
            ("LUMADB_HTTP_TRUSTED_PROXIES", "10.0.0.1, ::1"),
            ("HOME", "/"),
        ]);
        let config = Config::load(None, given).expect("right");
        assert_eq!(config.http.listen.port(), 0);
        assert_eq!(config.pool.size, 7);
        assert!(!config.edge.hand_over);
        assert_eq!(config.http.trusted_proxies.len(), 2);
    }

    #[test]
    fn another_object_store_takes_a_bucket_and_what_goes_with_it() {
        let load = |pairs: &[(&str, &str)]| Config::load(None, variables(pairs));
        let ours = load(&[]).expect("right").object_store;
        assert!(ours.is_built_in());
        let bucket = ("LUMADB_OBJECT_STORE_BUCKET", "archives");
        let theirs = load(&[
            bucket,
            ("LUMADB_OBJECT_STORE_ENDPOINT", "https://s3.example.com"),
            ("LUMADB_OBJECT_STORE_PATH_STYLE", "yes"),
            ("LUMADB_OBJECT_STORE_SERVER_SIDE_ENCRYPTION", "aws:kms"),
        ]);
        assert!(!theirs.expect("right").object_store.is_built_in());
        for (key, text) in [
            ("ENDPOINT", "s3.example.com"),
            ("PREFIX", "/slash"),
            ("PREFIX", ""),
            ("SERVER_SIDE_ENCRYPTION", "rot13"),
        ] {
            let name = format!("LUMADB_OBJECT_STORE_{key}");
            let error = load(&[bucket, (&name, text)])
                .expect_err("wrong")
                .to_string();
            assert!(error.contains(&name), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |pair| {
            let result = Config::load(None, variables(&[pair]));
            result.expect_err("wrong").to_string()
        };
        let unknown = wrong(("LUMADB_HTTP_LISTN", "x"));
        assert!(unknown.contains("LUMADB_HTTP_LISTN") && unknown.contains("LUMADB_HTTP_LISTEN?"));
        assert!(!wrong(("LUMADB_COLOR_OF_LOGS", "red")).contains("did you mean"));
        assert!(wrong(("LUMADB_POOL_SIZE", "many")).contains("LUMADB_POOL_SIZE"));
        assert!(wrong(("LUMADB_HTTP_LISTEN", "here")).contains("LUMADB_HTTP_LISTEN"));
        let alone = wrong(("LUMADB_EDGE_KEY_FILE", "x"));
        assert!(alone.contains("LUMADB_EDGE_CERTIFICATE_FILE"), "{alone}");
        let alone = wrong(("LUMADB_OBJECT_STORE_PREFIX", "x"));
        assert!(
            alone.contains("object_store.prefix") && alone.contains("object_store.bucket"),
            "{alone}"
        );

        let path = std::env::temp_dir().join(format!("lumadb-config-{}", std::process::id()));
        std::fs::write(&path, "[http]\nlisten = \"127.0.0.1:1\"\ncolor = 1\n").expect("written");
        let error = Config::load(Some(&path), variables(&[])).expect_err("wrong");
        let text = error.to_string();
        assert!(text.contains("color") && text.contains("line 3"), "{text}");
        std::fs::remove_file(path).expect("removed");
    }
}
