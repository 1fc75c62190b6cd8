//! The certificate authority of one machine: made once, kept in the data folder.

use super::files::{self, Durability};
use lumadb_contract::edge_link::certificate_name;
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::secret::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use std::io;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

const AUTHORITY_LIFETIME: Duration = Duration::days(3650);

/// Life of a server's certificate.
pub const CERTIFICATE_LIFETIME: Duration = Duration::days(90);

/// A certificate with less than this left is issued anew.
pub const CERTIFICATE_RENEWAL: Duration = Duration::days(30);

/// A certificate is valid from a while before it was made: clocks differ.
const CLOCK_SKEW: Duration = Duration::hours(24);

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("could not use {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("could not make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// Issues the certificates of the edge and of the nodes.
#[derive(Debug)]
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads the authority in `folder`, or makes it. ECDSA P-256 throughout: every client speaks
    /// it, which cannot be said of Ed25519.
    pub fn open(folder: &Path, now: OffsetDateTime) -> Result<Self, AuthorityError> {
        let certificate_path = folder.join("ca.pem");
        let key_path = folder.join("ca.key");
        if !certificate_path.exists() {
            let key = KeyPair::generate()?;
            let mut params = authority_params();
            params.not_before = now - CLOCK_SKEW;
            params.not_after = now + AUTHORITY_LIFETIME;
            let certificate = params.self_signed(&key)?;
            // The certificate last: where it is, its key is.
            write(&key_path, &key.serialize_pem(), 0o600)?;
            write(&certificate_path, &certificate.pem(), 0o644)?;
        }
        let key = KeyPair::from_pem(&read(&key_path)?)?;
        Ok(Self {
            certificate_pem: read(&certificate_path)?,
            issuer: Issuer::new(authority_params(), key),
        })
    }

    /// What clients verify certificates with.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for a server with these names and addresses.
    pub fn issue(
        &self,
        names: &[String],
        now: OffsetDateTime,
    ) -> Result<TlsIdentity, AuthorityError> {
        self.certify(names, ExtendedKeyUsagePurpose::ServerAuth, now)
    }

    /// A certificate by which nodes know an edge of this region. No server can use it, nor can an
    /// edge use a server's.
    pub fn issue_edge(
        &self,
        region: &str,
        now: OffsetDateTime,
    ) -> Result<TlsIdentity, AuthorityError> {
        let names = [certificate_name(region)];
        self.certify(&names, ExtendedKeyUsagePurpose::ClientAuth, now)
    }

    fn certify(
        &self,
        names: &[String],
        purpose: ExtendedKeyUsagePurpose,
        now: OffsetDateTime,
    ) -> Result<TlsIdentity, AuthorityError> {
        let mut params = CertificateParams::new(names)?;
        if let Some(name) = names.first() {
            params.distinguished_name.push(
                DnType::CommonName,
                name.chars().take(64).collect::<String>(),
            );
        }
        params.use_authority_key_identifier_extension = true;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        params.extended_key_usages.push(purpose);
        params.not_before = now - CLOCK_SKEW;
        params.not_after = now + CERTIFICATE_LIFETIME;
        params.serial_number = Some(SerialNumber::from_slice(
            uuid::Uuid::new_v7(timestamp(now)).as_bytes(),
        ));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(TlsIdentity {
            certificate_chain_pem: format!("{}{}", certificate.pem(), self.certificate_pem),
            private_key_pem: Secret::new(key.serialize_pem()),
        })
    }
}

fn timestamp(now: OffsetDateTime) -> uuid::Timestamp {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.nanosecond())
}

/// The same at each opening: what an issuer needs of them is the name and the usages.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params
        .distinguished_name
        .push(DnType::OrganizationName, "LumaDB Cloud");
    params
        .distinguished_name
        .push(DnType::CommonName, "LumaDB Cloud local authority");
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    params
}

fn read(path: &Path) -> Result<String, AuthorityError> {
    std::fs::read_to_string(path).map_err(|source| AuthorityError::File {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    files::replace(path, text.as_bytes(), mode, Durability::Machine).map_err(|source| {
        AuthorityError::File {
            path: path.to_owned(),
            source,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_made_once_and_issues_for_the_names_asked() {
        let folder = std::env::temp_dir().join(format!("lumadb-ca-{}", std::process::id()));
        files::make_folder(&folder, 0o700).expect("folder");
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let first = Authority::open(&folder, now).expect("made");
        let again = Authority::open(&folder, now + Duration::days(1)).expect("read");
        assert_eq!(first.certificate_pem(), again.certificate_pem());
        let identity = again
            .issue(&["localhost".into(), "127.0.0.1".into()], now)
            .expect("issued");
        let blocks = identity.certificate_chain_pem.matches("BEGIN CERTIFICATE");
        assert_eq!(blocks.count(), 2, "the server's own and the authority's");
        files::remove_folder(&folder).expect("removed");
    }
}
