//! Where the authority's key is kept: a Secret of the operator's namespace, made once.

use super::authority::{AuthorityError, Kept};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use lumadb_contract::secret;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Name of the Secret.
const NAME: &str = "lumadb-node-authority";

/// Its type: what holds it is no other program's.
const TYPE: &str = "lumadb.cloud/authority";

const CERTIFICATE: &str = "ca.crt";
const PRIVATE_KEY: &str = "ca.key";
const ENDS_AT: &str = "ends-at";

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("the Secret {NAME} cannot be used: {0}")]
    Cluster(#[from] Box<kube::Error>),
    #[error(
        "the Secret {NAME} holds no authority: if you remove it, another is made, and nodes are reached again once their pods have it"
    )]
    Unreadable,
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// The authority of the cluster, made or renewed where that is due.
pub(super) async fn open(
    client: &Client,
    namespace: &str,
    now: OffsetDateTime,
) -> Result<Kept, KeepError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    loop {
        let found = secrets.get_opt(NAME).await.map_err(Box::new)?;
        let parameters = PostParams::default();
        let (kept, written) = match found {
            None => {
                let kept = Kept::make(now)?;
                let secret = secret_of(&kept, ObjectMeta::default());
                let written = secrets.create(&parameters, &secret).await;
                (kept, written)
            }
            Some(found) => {
                let kept = read(&found).ok_or(KeepError::Unreadable)?;
                let Some(renewed) = kept.renewed(now)? else {
                    return Ok(kept);
                };
                let secret = secret_of(&renewed, found.metadata);
                let written = secrets.replace(NAME, &parameters, &secret).await;
                (renewed, written)
            }
        };
        match written {
            Ok(_) => return Ok(kept),
            // Another was faster: what it wrote counts.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(Box::new(error).into()),
        }
    }
}

fn secret_of(kept: &Kept, metadata: ObjectMeta) -> Secret {
    let ends_at = kept.ends_at.format(&Rfc3339).unwrap_or_default();
    let data = BTreeMap::from([
        (CERTIFICATE.into(), bytes(&kept.certificate_pem)),
        (PRIVATE_KEY.into(), bytes(kept.private_key_pem.expose())),
        (ENDS_AT.into(), bytes(&ends_at)),
    ]);
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            ..metadata
        },
        data: Some(data),
        type_: Some(TYPE.into()),
        ..Secret::default()
    }
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

fn read(secret: &Secret) -> Option<Kept> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    Some(Kept {
        certificate_pem: text(CERTIFICATE)?,
        private_key_pem: secret::Secret::new(text(PRIVATE_KEY)?),
        ends_at: OffsetDateTime::parse(&text(ENDS_AT)?, &Rfc3339).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_reads_back_as_it_was_written() {
        let kept = Kept::make(OffsetDateTime::UNIX_EPOCH).expect("made");
        let secret = secret_of(&kept, ObjectMeta::default());
        assert_eq!(read(&secret), Some(kept));
        assert_eq!(read(&Secret::default()), None);
    }
}
