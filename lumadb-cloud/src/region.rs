//! The region of this installation, as its row in the control plane's database says it is.

use crate::config::{Config, EDGE_AUTHORITY_PUBLIC};
use lumadb_control_plane::import::certificates;
use lumadb_control_plane::store::setup::RegionSetup;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum RegionError {
    #[error("region.edge_authority: {} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("region.edge_authority: {} {why}", path.display())]
    Authority { path: PathBuf, why: String },
}

/// What the row is to say, the edge of this machine being at that port.
pub(crate) fn region_setup(config: &Config, own_port: u16) -> Result<RegionSetup, RegionError> {
    let region = &config.region;
    let (host, port) = region.clients_connect_to((&config.edge.host, own_port));
    let edge_authority_pem = match region.edge_authority.as_deref() {
        None => None,
        Some(known) if known == Path::new(EDGE_AUTHORITY_PUBLIC) => Some(String::new()),
        Some(file) => Some(authority(file)?),
    };
    Ok(RegionSetup {
        name: region.name.clone(),
        display_name: region.display_name.clone(),
        host,
        port,
        edge_authority_pem,
        edges_elsewhere: config.cluster.edges_address.is_some(),
    })
}

/// Certificates that everybody may read.
fn authority(file: &Path) -> Result<String, RegionError> {
    let path = || file.to_owned();
    let wrong = |why: String| RegionError::Authority { path: path(), why };
    let pem = std::fs::read_to_string(file).map_err(|source| RegionError::Read {
        path: path(),
        source,
    })?;
    if pem.contains("PRIVATE KEY") {
        return Err(wrong("holds a private key, and would be shown".into()));
    }
    certificates(&pem).map_err(wrong)?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_authority(authority: Option<&Path>) -> Config {
        let mut config = Config::default();
        config.region.edge_authority = authority.map(Path::to_owned);
        config
    }

    fn said(authority: Option<&Path>) -> Result<Option<String>, String> {
        region_setup(&with_authority(authority), 1)
            .map(|region| region.edge_authority_pem)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_authority_is_the_platforms_a_public_one_or_that_of_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = rcgen::KeyPair::generate().expect("a key");
        let names = vec!["eu.example.com".to_owned()];
        let parameters = rcgen::CertificateParams::new(names).expect("names");
        let pem = parameters.self_signed(&key).expect("signed").pem();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, &pem).expect("written");
        assert_eq!(said(None), Ok(None));
        assert_eq!(said(Some(Path::new("public"))), Ok(Some(String::new())));
        assert_eq!(said(Some(&file)), Ok(Some(pem.clone())));
        std::fs::write(&file, pem + &key.serialize_pem()).expect("written");
        let error = said(Some(&file)).expect_err("a key");
        assert!(error.contains("private key"), "{error}");
        std::fs::write(&file, "nothing").expect("written");
        let error = said(Some(&file)).expect_err("no certificate");
        assert!(error.contains("holds no certificate"), "{error}");
        let error = said(Some(&folder.path().join("none"))).expect_err("no file");
        assert!(error.contains("region.edge_authority"), "{error}");
    }
}
