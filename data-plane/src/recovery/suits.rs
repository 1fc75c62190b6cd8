//! Whether a data folder that was made elsewhere can be run here. Pure.

use crate::archive::backup::EngineFacts;
use crate::archive::restore::Refusal;

/// What PostgreSQL is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Here {
    /// Such as `18.6` or `18`.
    pub(crate) version: String,
    /// As Rust and PostgreSQL's builds call it, such as `x86_64`.
    pub(crate) architecture: &'static str,
    /// Size of a page; `None`: it is not known before PostgreSQL runs.
    pub(crate) block_bytes: Option<u32>,
}

impl Here {
    pub(crate) fn new(version: String, block_bytes: Option<u32>) -> Self {
        Self {
            version,
            architecture: std::env::consts::ARCH,
            block_bytes,
        }
    }
}

/// A data folder moves only between releases of one major version, on one architecture, with pages
/// of one size.
pub(super) fn suits(made: &EngineFacts, here: &Here) -> Result<(), Refusal> {
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    if major(&made.version) != major(&here.version) {
        return Err(Refusal::OtherVersion {
            made: made.version.clone(),
            here: here.version.clone(),
        });
    }
    if let Some(architecture) = architecture(&made.build)
        && architecture != here.architecture
    {
        return Err(Refusal::OtherArchitecture {
            made: architecture.to_owned(),
            here: here.architecture.to_owned(),
        });
    }
    match here.block_bytes {
        Some(block_bytes) if block_bytes != made.block_bytes => Err(Refusal::OtherPages {
            made: made.block_bytes,
            here: block_bytes,
        }),
        _ => Ok(()),
    }
}

/// `x86_64` from `PostgreSQL 18.6 on x86_64-pc-linux-gnu, compiled by …`, if it says so.
fn architecture(build: &str) -> Option<&str> {
    let (_, system) = build.split_once(" on ")?;
    let architecture = system.split([',', '-', ' ']).next()?;
    match architecture {
        "" => None,
        "arm64" => Some("aarch64"),
        "amd64" => Some("x86_64"),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(version: &str, build: &str, block_bytes: u32) -> EngineFacts {
        EngineFacts {
            version: version.to_owned(),
            version_number: 180_006,
            build: build.to_owned(),
            block_bytes,
            collations: Vec::new(),
        }
    }

    #[test]
    fn what_cannot_run_here_is_refused_with_both_sides() {
        let here = Here {
            version: "18.6".to_owned(),
            architecture: "x86_64",
            block_bytes: Some(8192),
        };
        let build = "PostgreSQL 18.6 on x86_64-pc-linux-gnu, compiled by gcc, 64-bit";
        let arm = "PostgreSQL 18.6 on aarch64-unknown-linux-gnu, compiled by gcc, 64-bit";
        let refused = |made: EngineFacts| suits(&made, &here).err();
        assert_eq!(refused(made("18.2", build, 8192)), None);
        assert_eq!(refused(made("18.6", "", 8192)), None);
        let amd = "PostgreSQL 18.6 on amd64-portbld-freebsd, compiled by clang";
        assert_eq!(refused(made("18.6", amd, 8192)), None);
        let version = refused(made("17.4", build, 8192));
        assert!(matches!(version, Some(Refusal::OtherVersion { .. })));
        let told = refused(made("18.6", arm, 8192)).expect("refused");
        assert_eq!(
            told.to_string(),
            "The backup was made on aarch64, and this is x86_64: a data folder cannot be moved \
             between them."
        );
        let pages = refused(made("18.6", build, 16_384));
        let expected = Refusal::OtherPages {
            made: 16_384,
            here: 8192,
        };
        assert_eq!(pages, Some(expected));
    }
}
