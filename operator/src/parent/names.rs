//! What a node's certificate names: database, incarnation and pod, as a host name that nobody has.

use lumadb_contract::id::{DatabaseId, IncarnationId};
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::str::FromStr;

/// What follows them; `internal` is kept free of public names (ICANN, 2024).
const SUFFIX: &str = "node.lumadb.internal";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeNames {
    pub(crate) database_id: DatabaseId,
    pub(crate) incarnation_id: IncarnationId,
    pub(crate) pod_uid: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no names of a node")]
pub(crate) struct NoNames;

impl NodeNames {
    /// What a certificate names that our own authority has signed.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut names = certificate.valid_dns_names();
        let name = names.next()?.parse().ok()?;
        names.next().is_none().then_some(name)
    }
}

impl fmt::Display for NodeNames {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No underscore in a host name.
        let incarnation = self.incarnation_id.to_string().replacen('_', "-", 1);
        let database = self.database_id.host_label();
        write!(out, "{incarnation}.{}.{database}.{SUFFIX}", self.pod_uid)
    }
}

impl FromStr for NodeNames {
    type Err = NoNames;

    fn from_str(text: &str) -> Result<Self, NoNames> {
        let labels = text
            .strip_suffix(SUFFIX)
            .and_then(|rest| rest.strip_suffix('.'))
            .ok_or(NoNames)?;
        let mut labels = labels.split('.');
        let mut next = || labels.next().ok_or(NoNames);
        let (incarnation, pod_uid, database) = (next()?, next()?, next()?);
        if labels.next().is_some() || pod_uid.is_empty() {
            return Err(NoNames);
        }
        let incarnation = incarnation.replacen('-', "_", 1);
        Ok(Self {
            database_id: DatabaseId::parse_label(database).map_err(|_| NoNames)?,
            incarnation_id: incarnation.parse().map_err(|_| NoNames)?,
            pod_uid: pod_uid.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_were_written() {
        let text = "inc-00000000000000000000000002.6d1f-aa.db-01jdk3x5v9e8rb6w4q2n7m0c1a.node.lumadb.internal";
        let names: NodeNames = text.parse().expect("names");
        assert_eq!(names.to_string(), text);
        assert_eq!(names.pod_uid, "6d1f-aa");
        for bad in [
            "",
            "node.lumadb.internal",
            "x.y.z.node.lumadb.internal",
            &text.replace(".internal", ".com"),
            &format!("more.{text}"),
        ] {
            assert_eq!(bad.parse::<NodeNames>(), Err(NoNames), "{bad}");
        }
    }
}
