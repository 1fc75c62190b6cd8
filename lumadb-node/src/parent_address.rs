//! Where a node's parent listens.

use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an address of the form unix:/path/of/socket")]
pub(crate) struct InvalidAddress(String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParentAddress(PathBuf);

impl ParentAddress {
    pub(crate) fn into_path(self) -> PathBuf {
        self.0
    }
}

impl FromStr for ParentAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self(path.into())),
            _ => Err(InvalidAddress(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_an_absolute_socket() {
        let read: Result<ParentAddress, _> = "unix:/run/parent.sock".parse();
        assert_eq!(
            read.map(ParentAddress::into_path),
            Ok("/run/parent.sock".into())
        );
        for bad in ["unix:parent.sock", "http://x", ""] {
            assert!(bad.parse::<ParentAddress>().is_err(), "{bad}");
        }
    }
}
