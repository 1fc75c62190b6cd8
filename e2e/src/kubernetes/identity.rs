//! Who is who in a cluster: its authority and certificate, the key that signs the tokens of service
//! accounts, and its owner, who may do everything.

use crate::Outcome;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The names by which programs outside and pods call the API server, and the first address of
/// services, which Kubernetes gives to it.
const SERVER_NAMES: [&str; 4] = [
    "127.0.0.1",
    "localhost",
    "kubernetes.default.svc",
    "10.0.0.1",
];

/// Files in a folder that nobody else may enter.
#[derive(Debug)]
pub(super) struct Identity {
    folder: PathBuf,
    authority_pem: String,
    owner_token: String,
}

impl Identity {
    pub(super) fn make(folder: PathBuf) -> Outcome<Self> {
        std::fs::create_dir(&folder)?;
        std::fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");
        let authority_pem = authority.self_signed(&authority_key)?.pem();

        let server_key = KeyPair::generate()?;
        let mut server = CertificateParams::new(SERVER_NAMES.map(str::to_owned))?;
        server
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        server.use_authority_key_identifier_extension = true;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::new(authority, &authority_key);
        let server_pem = server.signed_by(&server_key, &issuer)?.pem();

        let accounts_key = KeyPair::generate()?;
        // As long as a key, and as hard to guess.
        let owner_token: String = KeyPair::generate()?
            .public_key_raw()
            .iter()
            .skip(1)
            .take(32)
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));

        let identity = Self {
            folder,
            authority_pem,
            owner_token,
        };
        identity.write("ca.crt", &identity.authority_pem)?;
        identity.write("ca.key", &authority_key.serialize_pem())?;
        identity.write("server.crt", &server_pem)?;
        identity.write("server.key", &server_key.serialize_pem())?;
        identity.write("accounts.key", &accounts_key.serialize_pem())?;
        identity.write("accounts.pub", &accounts_key.public_key_pem())?;
        // Token, name, ID, groups: RBAC never says no to this group.
        let owner = format!("{},owner,1,system:masters\n", identity.owner_token);
        identity.write("tokens.csv", &owner)?;
        Ok(identity)
    }

    /// The path of one of the files, as the programs are told it.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// What the API server's certificate is verified with.
    pub(super) fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub(super) fn owner_token(&self) -> &str {
        &self.owner_token
    }

    fn write(&self, name: &str, text: &str) -> Outcome<()> {
        Ok(std::fs::write(self.folder.join(name), text)?)
    }
}

/// Writes a kubeconfig for the bearer of a token. JSON, which every reader of YAML takes.
pub(super) fn write_kubeconfig(
    path: &Path,
    server: &str,
    authority: Option<&str>,
    token: &str,
) -> Outcome<()> {
    let mut cluster = json!({ "server": server });
    if let Some(authority) = authority {
        cluster["certificate-authority"] = json!(authority);
    }
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    });
    std::fs::write(path, kubeconfig.to_string())?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(())
}
