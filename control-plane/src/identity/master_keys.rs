//! Master keys: the active one wraps, and those of before still unwrap.
//!
//! They lie in files that are read when they are needed: whoever changes the active key tells no
//! process of it, and none goes on wrapping by the one of before. A key never changes under its
//! fingerprint, so what was read once is kept.
//!
//! A file holds a key as it is, or sealed by a key service ([`KeyService`]); then the file alone is
//! of no use, and the service is asked once by each process.

use lumadb_contract::key_chain::{Key, KeyError};
use serde::{Deserialize, Serialize};
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
    #[error("{} is sealed by {key_id}, and that did not open it: {source}", path.display())]
    Sealed {
        path: PathBuf,
        key_id: String,
        source: KeyServiceError,
    },
    #[error("the new master key was not sealed: {0}")]
    Seal(KeyServiceError),
}

/// Why a key service did not do what it was asked, in its own words; they hold no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyServiceError(pub String);

/// Seals master keys by a key that never leaves the service. Calls block, for seconds if the service
/// is far: each process makes few.
pub trait KeyService: std::fmt::Debug + Send + Sync {
    /// `None`: keys that are written from now on lie in their files as they are.
    fn seal(&self, key: &Key) -> Result<Option<SealedKey>, KeyServiceError>;

    fn open(&self, sealed: &SealedKey) -> Result<Key, KeyServiceError>;
}

/// What the file of a sealed key holds, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// The service's key, as the service names it.
    pub key_id: String,
    /// As the service gave it, in base64.
    pub ciphertext: String,
}

/// Where master keys are kept. Clones share what was read.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    place: Place,
    /// By fingerprint.
    known: Arc<Mutex<BTreeMap<String, Key>>>,
}

#[derive(Debug, Clone)]
enum Place {
    /// `master.key` holds the active one, `master-keys/<fingerprint>.key` the others.
    Folder(PathBuf, KeyFile),
    Memory(Key),
}

impl MasterKeys {
    /// Of a folder of keys; its active one must be there, and readable.
    pub fn open(folder: PathBuf, service: Arc<dyn KeyService>) -> Result<Self, MasterKeyError> {
        let keys = Self {
            place: Place::Folder(folder, KeyFile::new(service)),
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
            Place::Folder(folder, file) => file.read(&Self::active_path(folder)),
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
        let Place::Folder(folder, file) = &self.place else {
            return Err(MasterKeyError::Unknown(fingerprint.to_owned()));
        };
        // It names a file: what an archive says of itself is not taken for one.
        if !fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(MasterKeyError::Unknown(fingerprint.to_owned()));
        }
        let path = Self::kept_path(folder, fingerprint);
        let key = match file.read(&path) {
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

/// Reads and makes the content of a master key's file: 32 bytes in base64, or a [`SealedKey`].
/// Clones share what the service opened.
#[derive(Debug, Clone)]
pub struct KeyFile {
    service: Arc<dyn KeyService>,
    /// By ciphertext.
    opened: Arc<Mutex<BTreeMap<String, Key>>>,
}

impl KeyFile {
    pub fn new(service: Arc<dyn KeyService>) -> Self {
        Self {
            service,
            opened: Arc::default(),
        }
    }

    pub fn read(&self, path: &Path) -> Result<Key, MasterKeyError> {
        let text = read_text(path)?;
        let Some(sealed) = sealed(&text) else {
            return Key::from_base64(&text).map_err(|source| MasterKeyError::Malformed {
                path: path.to_owned(),
                source,
            });
        };
        let opened = self.opened.lock();
        let mut opened = opened.unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = opened.get(&sealed.ciphertext) {
            return Ok(key.clone());
        }
        let key = self.service.open(&sealed);
        let key = key.map_err(|source| MasterKeyError::Sealed {
            path: path.to_owned(),
            key_id: sealed.key_id,
            source,
        })?;
        opened.insert(sealed.ciphertext, key.clone());
        Ok(key)
    }

    /// What the file of a key is to hold from now on.
    pub fn content(&self, key: &Key) -> Result<String, MasterKeyError> {
        let sealed = self.service.seal(key).map_err(MasterKeyError::Seal)?;
        let text = match sealed {
            Some(sealed) => serde_json::json!(sealed).to_string(),
            None => key.to_base64().expose().to_owned(),
        };
        Ok(text + "\n")
    }

    /// The service's key that seals a file; `None`: nothing does.
    pub fn sealed_by(path: &Path) -> Result<Option<String>, MasterKeyError> {
        Ok(sealed(&read_text(path)?).map(|sealed| sealed.key_id))
    }
}

fn read_text(path: &Path) -> Result<String, MasterKeyError> {
    std::fs::read_to_string(path).map_err(|source| MasterKeyError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn sealed(text: &str) -> Option<SealedKey> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    struct NoService;

    impl KeyService for NoService {
        fn seal(&self, _: &Key) -> Result<Option<SealedKey>, KeyServiceError> {
            Ok(None)
        }

        fn open(&self, _: &SealedKey) -> Result<Key, KeyServiceError> {
            Err(KeyServiceError("there is none".into()))
        }
    }

    /// Turns the bytes of a key over, and counts what it opened.
    #[derive(Debug, Default)]
    struct Turning(AtomicUsize);

    fn turned(key: &Key) -> Key {
        Key::new(key.bytes().map(|byte| !byte))
    }

    impl KeyService for Turning {
        fn seal(&self, key: &Key) -> Result<Option<SealedKey>, KeyServiceError> {
            Ok(Some(SealedKey {
                key_id: "turning".into(),
                ciphertext: turned(key).to_base64().expose().to_owned(),
            }))
        }

        fn open(&self, sealed: &SealedKey) -> Result<Key, KeyServiceError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let key = Key::from_base64(&sealed.ciphertext);
            key.map(|key| turned(&key))
                .map_err(|error| KeyServiceError(error.to_string()))
        }
    }

    #[test]
    fn a_sealed_key_is_opened_once_and_by_its_service_alone() {
        let folder = std::env::temp_dir().join(format!("lumadb-sealed-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let path = MasterKeys::active_path(&folder);
        let key = Key::new([7; 32]);
        let service = Arc::new(Turning::default());
        std::fs::create_dir_all(&folder).expect("made");
        let content = KeyFile::new(service.clone()).content(&key);
        let content = content.expect("sealed");
        assert!(!content.contains(key.to_base64().expose()));
        std::fs::write(&path, content).expect("written");
        let keys = MasterKeys::open(folder.clone(), service.clone()).expect("opens");
        assert_eq!(keys.active().expect("reads"), key);
        assert_eq!(keys.find(&key.fingerprint()).expect("found"), key);
        assert_eq!(service.0.load(Ordering::Relaxed), 1);
        let by = KeyFile::sealed_by(&path).expect("reads");
        assert_eq!(by.as_deref(), Some("turning"));
        let refused = MasterKeys::open(folder.clone(), Arc::new(NoService)).expect_err("sealed");
        let said = refused.to_string();
        assert!(
            said.contains("turning") && said.contains("there is none"),
            "{said}"
        );
        std::fs::remove_dir_all(folder).expect("removed");
    }

    fn put(path: &Path, key: &Key) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, key.to_base64().expose()).expect("written");
    }

    #[test]
    fn the_active_key_may_change_and_those_of_before_are_found() {
        let folder = std::env::temp_dir().join(format!("lumadb-keys-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let folder = folder.as_path();
        let open = || MasterKeys::open(folder.to_owned(), Arc::new(NoService));
        assert!(open().is_err());
        let (old, new, other) = (Key::new([1; 32]), Key::new([2; 32]), Key::new([3; 32]));
        put(&MasterKeys::active_path(folder), &old);
        let keys = open().expect("opens");
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
        let again = open().expect("opens");
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
