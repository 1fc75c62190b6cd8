//! Master keys: the active one wraps, and those of before still unwrap.
//!
//! They lie in files that are read when they are needed: whoever changes the active key tells no
//! process of it, and none goes on wrapping by the one of before. A key never changes under its
//! fingerprint, so what was read once is kept.

use lumadb_contract::key_chain::{Key, KeyError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key {} cannot be read: {source}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} does not hold a master key: {source}", path.display())]
    Malformed { path: PathBuf, source: KeyError },
    #[error(
        "the master key {fingerprint} is needed and is not here: the active one is {active}, and {} is not there",
        path.display()
    )]
    Missing {
        fingerprint: String,
        active: String,
        path: PathBuf,
    },
    #[error("{} holds the master key {found}", path.display())]
    Misnamed { path: PathBuf, found: String },
    #[error("the master key {0} is needed and is not here")]
    Unknown(String),
}

/// Where master keys are kept. Clones share what was read.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    place: Place,
    known: Arc<Mutex<BTreeMap<String, Key>>>,
}

#[derive(Debug, Clone)]
enum Place {
    /// `master.key` holds the active one, `master-keys/<fingerprint>.key` the others.
    Folder(PathBuf),
    Memory(Key),
}

impl MasterKeys {
    /// Of a folder of keys; its active one must be there.
    pub fn open(folder: PathBuf) -> Result<Self, MasterKeyError> {
        let keys = Self {
            place: Place::Folder(folder),
            known: Arc::default(),
        };
        keys.active()?;
        Ok(keys)
    }

    /// One alone, which nobody changes.
    pub fn fixed(key: Key) -> Self {
        Self {
            place: Place::Memory(key),
            known: Arc::default(),
        }
    }

    /// The file of the active key in a folder of keys.
    pub fn active_path(folder: &Path) -> PathBuf {
        folder.join("master.key")
    }

    /// Where keys are kept that are not active, or not yet.
    pub fn kept_folder(folder: &Path) -> PathBuf {
        folder.join("master-keys")
    }

    /// The file of one of those.
    pub fn kept_path(folder: &Path, fingerprint: &str) -> PathBuf {
        Self::kept_folder(folder).join(format!("{fingerprint}.key"))
    }

    /// What wraps from now on.
    pub fn active(&self) -> Result<Key, MasterKeyError> {
        match &self.place {
            Place::Memory(key) => Ok(key.clone()),
            Place::Folder(folder) => read(&Self::active_path(folder)),
        }
    }

    /// The key with this fingerprint.
    pub fn find(&self, fingerprint: &str) -> Result<Key, MasterKeyError> {
        if let Some(key) = self.known().get(fingerprint) {
            return Ok(key.clone());
        }
        let key = self.look_up(fingerprint)?;
        self.known().insert(fingerprint.to_owned(), key.clone());
        Ok(key)
    }

    fn look_up(&self, fingerprint: &str) -> Result<Key, MasterKeyError> {
        let active = self.active()?;
        if active.fingerprint() == fingerprint {
            return Ok(active);
        }
        let Place::Folder(folder) = &self.place else {
            return Err(MasterKeyError::Unknown(fingerprint.to_owned()));
        };
        // It names a file: what an archive says of itself is not taken for one.
        if !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(MasterKeyError::Unknown(fingerprint.to_owned()));
        }
        let path = Self::kept_path(folder, fingerprint);
        let key = match read(&path) {
            Err(MasterKeyError::Unreadable { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(MasterKeyError::Missing {
                    fingerprint: fingerprint.to_owned(),
                    active: active.fingerprint(),
                    path,
                });
            }
            read => read?,
        };
        let found = key.fingerprint();
        if found != fingerprint {
            return Err(MasterKeyError::Misnamed { path, found });
        }
        Ok(key)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Key>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the file of a master key: 32 bytes in base64.
pub fn read(path: &Path) -> Result<Key, MasterKeyError> {
    let text = std::fs::read_to_string(path).map_err(|source| MasterKeyError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Key::from_base64(&text).map_err(|source| MasterKeyError::Malformed {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, key: &Key) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, key.to_base64().expose()).expect("written");
    }

    #[test]
    fn the_active_key_may_change_and_those_of_before_are_found() {
        let folder = std::env::temp_dir().join(format!("lumadb-keys-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let folder = folder.as_path();
        assert!(MasterKeys::open(folder.to_owned()).is_err());
        let (old, new, other) = (Key::new([1; 32]), Key::new([2; 32]), Key::new([3; 32]));
        put(&MasterKeys::active_path(folder), &old);
        let keys = MasterKeys::open(folder.to_owned()).expect("opens");
        assert_eq!(keys.find(&old.fingerprint()).expect("found"), old);
        let missing = keys.find(&new.fingerprint()).expect_err("not there");
        assert!(
            missing.to_string().contains(&new.fingerprint()),
            "{missing}"
        );

        put(&MasterKeys::kept_path(folder, &new.fingerprint()), &new);
        assert_eq!(keys.find(&new.fingerprint()).expect("found"), new);
        put(&MasterKeys::active_path(folder), &new);
        assert_eq!(keys.active().expect("reads"), new);
        // Another process finds the one of before in its file alone.
        let again = MasterKeys::open(folder.to_owned()).expect("opens");
        assert!(again.find(&old.fingerprint()).is_err());
        put(&MasterKeys::kept_path(folder, &old.fingerprint()), &other);
        assert!(matches!(
            again.find(&old.fingerprint()),
            Err(MasterKeyError::Misnamed { .. })
        ));
        put(&MasterKeys::kept_path(folder, &old.fingerprint()), &old);
        assert_eq!(again.find(&old.fingerprint()).expect("found"), old);
        assert!(matches!(
            again.find("../master"),
            Err(MasterKeyError::Unknown(_))
        ));
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
