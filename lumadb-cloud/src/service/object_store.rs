//! Where archives lie, from the configuration and the files that it names.

use super::s3::{BUCKET, ROOT_ACCESS_KEY_ID};
use super::{ServiceError, read, with_cause};
use crate::config::{Kms, ObjectStore};
use crate::keys::KeyFiles;
use crate::up::reachable;
use lumadb_contract::archive::{ArchiveAccess, ObjectStoreCredentials, ObjectStoreSpec};
use lumadb_contract::secret::Secret;
use lumadb_control_plane::app::archive::{Archives, StoreCredentials};
use lumadb_control_plane::identity::master_keys::MasterKeys;
use lumadb_control_plane::runtime::{ArchiveObjects, ObjectsError};
use lumadb_data_plane::archive::remove::archive_remove;
use std::ffi::OsString;
use std::sync::Arc;

/// Objects of archives, for the worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objects;

impl ArchiveObjects for Objects {
    async fn remove(&self, access: &ArchiveAccess) -> Result<u64, ObjectsError> {
        let removed = archive_remove(access).await;
        removed.map_err(|error| ObjectsError(with_cause(&error)))
    }
}

/// What the control plane knows of the object store.
pub(crate) fn archives(
    files: &KeyFiles,
    config: &ObjectStore,
    kms: &Kms,
) -> Result<Archives, ServiceError> {
    Ok(Archives {
        master_keys: MasterKeys::open(files.folder().to_owned(), Arc::new(kms.clone()))?,
        store: store(config),
        credentials: credentials(files, config)?,
    })
}

fn store(config: &ObjectStore) -> ObjectStoreSpec {
    let Some(bucket) = &config.bucket else {
        return ObjectStoreSpec {
            endpoint: Some(format!("http://{}", reachable(config.listen))),
            region: config.region.clone(),
            bucket: BUCKET.to_owned(),
            // Its scoped keys reach what lies below an archive's name at the top.
            prefix: String::new(),
            path_style: true,
            credentials: None,
            storage_class: None,
            server_side_encryption: None,
        };
    };
    ObjectStoreSpec {
        endpoint: config.endpoint.clone(),
        region: config.region.clone(),
        bucket: bucket.clone(),
        prefix: config.prefix.clone().unwrap_or_default(),
        path_style: config.path_style,
        credentials: None,
        storage_class: config.storage_class.clone(),
        server_side_encryption: config.server_side_encryption.clone(),
    }
}

/// All archives, as whoever may see them all logs in: to find those that nobody remembers.
pub(crate) fn store_of_all(archives: &Archives) -> ObjectStoreSpec {
    let credentials = match &archives.credentials {
        StoreCredentials::Scoped(root_secret) => Some(ObjectStoreCredentials {
            access_key_id: ROOT_ACCESS_KEY_ID.to_owned(),
            secret_access_key: root_secret.clone(),
            session_token: None,
        }),
        StoreCredentials::Given(given) => Some(given.clone()),
        StoreCredentials::Environment => None,
    };
    ObjectStoreSpec {
        credentials,
        ..archives.store.clone()
    }
}

fn credentials(files: &KeyFiles, config: &ObjectStore) -> Result<StoreCredentials, ServiceError> {
    if config.is_built_in() {
        let secret = read(files.object_store())?;
        return Ok(StoreCredentials::Scoped(Secret::new(secret.trim())));
    }
    let Some(path) = &config.credentials_file else {
        return Ok(StoreCredentials::Environment);
    };
    let text = read(path.clone())?;
    parse(&text)
        .map(StoreCredentials::Given)
        .map_err(|message| ServiceError::Credentials {
            path: path.clone(),
            message,
        })
}

/// Variables that nodes need where the environment is what logs them in to the object store.
pub(crate) fn environment(config: &ObjectStore) -> Vec<(OsString, OsString)> {
    if config.is_built_in() || config.credentials_file.is_some() {
        return Vec::new();
    }
    std::env::vars_os()
        .filter(|(name, _)| name.to_string_lossy().starts_with("AWS_"))
        .collect()
}

/// Lines `name = value`; empty ones and those that begin with `#` or `[` say nothing, so that a
/// profile of Amazon's own tools can be used as it is.
fn parse(text: &str) -> Result<ObjectStoreCredentials, String> {
    let (mut id, mut secret, mut token) = (None, None, None);
    let lines = text.lines().map(str::trim);
    for (number, line) in lines.enumerate() {
        if line.is_empty() || line.starts_with(['#', '[']) {
            continue;
        }
        // The line itself may hold the secret: only its number is told.
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("has no `name = value` on line {}", number + 1))?;
        let value = value.trim().trim_matches('"');
        let name = name.trim();
        let place = match name.strip_prefix("aws_").unwrap_or(name) {
            "access_key_id" => &mut id,
            "secret_access_key" => &mut secret,
            "session_token" => &mut token,
            _ => return Err(format!("names something unknown on line {}", number + 1)),
        };
        *place = Some(value.to_owned());
    }
    let missing = |name: &str| format!("does not name {name}");
    Ok(ObjectStoreCredentials {
        access_key_id: id.ok_or_else(|| missing("access_key_id"))?,
        secret_access_key: Secret::new(secret.ok_or_else(|| missing("secret_access_key"))?),
        session_token: token.map(Secret::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_we_and_as_amazon_write_them() {
        let ours = parse("access_key_id = id\nsecret_access_key = \"a=b/c\"\n").expect("right");
        assert_eq!(ours.access_key_id, "id");
        assert_eq!(ours.secret_access_key.expose(), "a=b/c");
        assert!(ours.session_token.is_none());
        let theirs = "[default]\n# of the machine\naws_access_key_id=id\n\
                      aws_secret_access_key=a=b/c\naws_session_token=t\n";
        let theirs = parse(theirs).expect("right");
        assert_eq!(theirs.secret_access_key, ours.secret_access_key);
        assert_eq!(theirs.session_token.expect("one").expose(), "t");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_secret() {
        for (text, wanted) in [
            ("access_key_id = id\n", "secret_access_key"),
            ("secret_access_key = hush\n", "does not name access_key_id"),
            ("access_key_id = id\nhush\n", "line 2"),
            ("secret = hush\n", "line 1"),
        ] {
            let message = parse(text).expect_err("wrong");
            assert!(
                message.contains(wanted) && !message.contains("hush"),
                "{message}"
            );
        }
    }

    #[test]
    fn our_own_server_is_reached_where_it_listens() {
        let mut config = ObjectStore {
            listen: std::net::SocketAddr::from(([0, 0, 0, 0], 9000)),
            ..ObjectStore::default()
        };
        let ours = store(&config);
        assert_eq!(ours.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert!(ours.path_style && ours.prefix.is_empty());
        config.bucket = Some("archives".into());
        config.prefix = Some("luma".into());
        let theirs = store(&config);
        assert_eq!(
            (theirs.bucket.as_str(), theirs.prefix.as_str()),
            ("archives", "luma")
        );
        assert_eq!(theirs.endpoint, None);
    }
}
