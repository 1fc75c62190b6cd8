//! One certificate for every listener of the rig, so that all do the same cryptography.

use lumadb_e2e::Outcome;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Keys {
    pub(super) certificate_pem: String,
    pub(super) private_key_pem: String,
    pub(super) certificate_file: PathBuf,
    pub(super) private_key_file: PathBuf,
}

impl Keys {
    pub(crate) fn make(folder: &Path) -> Outcome<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        let keys = Self {
            certificate_pem: made.cert.pem(),
            private_key_pem: made.signing_key.serialize_pem(),
            certificate_file: folder.join("certificate.pem"),
            private_key_file: folder.join("key.pem"),
        };
        // The key lives as long as this run, and other users' processes must read it.
        std::fs::write(&keys.certificate_file, &keys.certificate_pem)?;
        std::fs::write(&keys.private_key_file, &keys.private_key_pem)?;
        Ok(keys)
    }
}
