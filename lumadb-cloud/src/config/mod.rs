//! Configuration: compiled defaults, then one TOML file, then `LUMADB_…` variables.
//!
//! A key `[section] name` has the variable `LUMADB_SECTION_NAME`. What is not known is an error
//! that names it. Secrets are not configured: only the files that hold them are.

mod billing;
mod cluster;
mod control;
mod edge;
mod keys;
mod limits;
mod object_store;
mod operator;
mod settings;

pub(crate) use billing::Stripe;
pub(crate) use cluster::Cluster;
pub(crate) use control::ControlDurability;
pub(crate) use edge::{EDGE_AUTHORITY_PUBLIC, PlaintextFrom, RuntimeKind};
pub(crate) use keys::{SECRET_KEY_VARIABLE, WEBHOOK_SECRET_VARIABLE};
pub(crate) use object_store::{Kms, ObjectStore};
pub(crate) use settings::Config;

use keys::{KEYS, OTHER_VARIABLES, PREFIX, nearest, value_of, variable_name};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

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

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
        let pairs = pairs
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()));
        pairs.collect::<Vec<_>>().into_iter()
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
