//! The checksums that S3 knows, as one value with its algorithm.
//!
//! Which one a request carries is seen in its trailer's announcement first, then in its headers,
//! then in the algorithm that it names; a body is hashed once, while it is written.

use data_encoding::BASE64;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

/// What the checksum of an object of several parts is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Of all bytes.
    FullObject,
    /// Of the checksums of the parts.
    Composite,
}

/// A checksum with its value in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: Kind,
    pub(crate) value: String,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// As in `x-amz-checksum-algorithm`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => dto::ChecksumAlgorithm::CRC32,
            Self::Crc32c => dto::ChecksumAlgorithm::CRC32C,
            Self::Crc64Nvme => dto::ChecksumAlgorithm::CRC64NVME,
            Self::Sha1 => dto::ChecksumAlgorithm::SHA1,
            Self::Sha256 => dto::ChecksumAlgorithm::SHA256,
        }
    }

    /// The header, or trailer, that carries the value.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    pub(crate) fn of_header(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.header().eq_ignore_ascii_case(name.trim()))
    }

    /// Kind of an object of several parts, unless another is asked for.
    pub(crate) fn default_kind(self) -> Kind {
        match self {
            Self::Crc64Nvme => Kind::FullObject,
            _ => Kind::Composite,
        }
    }

    /// Only a CRC of the whole follows from those of the parts, and S3 has no composite CRC-64.
    pub(crate) fn allows(self, kind: Kind) -> bool {
        match self {
            Self::Crc32 | Self::Crc32c => true,
            Self::Crc64Nvme => kind == Kind::FullObject,
            Self::Sha1 | Self::Sha256 => kind == Kind::Composite,
        }
    }

    pub(crate) fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        hasher
    }

    fn combine(self, before: u64, part: u64, part_bytes: u64) -> Option<u64> {
        let algorithm = match self {
            Self::Crc32 => crc_fast::CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc32c => crc_fast::CrcAlgorithm::Crc32Iscsi,
            Self::Crc64Nvme => crc_fast::CrcAlgorithm::Crc64Nvme,
            Self::Sha1 | Self::Sha256 => return None,
        };
        Some(crc_fast::checksum_combine(
            algorithm, before, part, part_bytes,
        ))
    }

    /// The checksum of an object of these parts: value and size of each. `None`: a value is none.
    pub(crate) fn of_parts(self, kind: Kind, parts: &[(&str, u64)]) -> Option<Checksum> {
        let value = match kind {
            Kind::Composite => {
                let mut hasher = self.hasher();
                for (value, _) in parts {
                    hasher.update(&BASE64.decode(value.as_bytes()).ok()?);
                }
                let digest = self.value_of(&hasher.finalize())?;
                format!("{digest}-{}", parts.len())
            }
            Kind::FullObject => {
                let mut whole = None;
                let mut width = 0;
                for (value, bytes) in parts {
                    let raw = BASE64.decode(value.as_bytes()).ok()?;
                    width = raw.len();
                    let part = raw.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                    whole = Some(match whole {
                        None => part,
                        Some(before) => self.combine(before, part, *bytes)?,
                    });
                }
                BASE64.encode(whole?.to_be_bytes().get(8_usize.checked_sub(width)?..)?)
            }
        };
        Some(Checksum {
            algorithm: self,
            kind,
            value,
        })
    }

    fn value_of(self, all: &dto::Checksum) -> Option<String> {
        match self {
            Self::Crc32 => all.checksum_crc32.clone(),
            Self::Crc32c => all.checksum_crc32c.clone(),
            Self::Crc64Nvme => all.checksum_crc64nvme.clone(),
            Self::Sha1 => all.checksum_sha1.clone(),
            Self::Sha256 => all.checksum_sha256.clone(),
        }
    }

    /// The checksum of a body that was hashed with [`Self::hasher`].
    pub(crate) fn finish(self, hasher: ChecksumHasher) -> Option<Checksum> {
        Some(Checksum {
            algorithm: self,
            kind: Kind::FullObject,
            value: self.value_of(&hasher.finalize())?,
        })
    }
}

impl Kind {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            dto::ChecksumType::FULL_OBJECT => Some(Self::FullObject),
            dto::ChecksumType::COMPOSITE => Some(Self::Composite),
            _ => None,
        }
    }

    pub(crate) fn dto(self) -> dto::ChecksumType {
        dto::ChecksumType::from_static(match self {
            Self::FullObject => dto::ChecksumType::FULL_OBJECT,
            Self::Composite => dto::ChecksumType::COMPOSITE,
        })
    }
}

impl Checksum {
    /// Whether `given` says the same; the number of parts behind a composite one may be left out.
    pub(crate) fn is(&self, given: &str) -> bool {
        let bare = self.value.split('-').next();
        given == self.value || (self.kind == Kind::Composite && Some(given) == bare)
    }
}

/// As the fields of an answer.
pub(crate) fn fields(checksum: Option<&Checksum>) -> dto::Checksum {
    let mut all = dto::Checksum::default();
    let Some(checksum) = checksum else { return all };
    let value = Some(checksum.value.clone());
    match checksum.algorithm {
        Algorithm::Crc32 => all.checksum_crc32 = value,
        Algorithm::Crc32c => all.checksum_crc32c = value,
        Algorithm::Crc64Nvme => all.checksum_crc64nvme = value,
        Algorithm::Sha1 => all.checksum_sha1 = value,
        Algorithm::Sha256 => all.checksum_sha256 = value,
    }
    all.checksum_type = Some(checksum.kind.dto());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(algorithm: Algorithm, data: &[u8]) -> String {
        let mut hasher = algorithm.hasher();
        hasher.update(data);
        algorithm.finish(hasher).unwrap().value
    }

    #[test]
    fn the_checksum_of_the_whole_follows_from_the_parts() {
        let whole: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let pieces: Vec<(String, u64)> = whole
                .chunks(3_000)
                .map(|part| (digest(algorithm, part), part.len() as u64))
                .collect();
            let parts: Vec<_> = pieces.iter().map(|(v, n)| (v.as_str(), *n)).collect();
            let combined = algorithm.of_parts(Kind::FullObject, &parts).unwrap();
            assert_eq!(combined.value, digest(algorithm, &whole));
        }
    }

    #[test]
    fn a_composite_checksum_is_of_the_parts_checksums() {
        let (one, two) = (
            digest(Algorithm::Sha256, b"one"),
            digest(Algorithm::Sha256, b"two"),
        );
        let parts = [(one.as_str(), 3), (two.as_str(), 3)];
        let composite = Algorithm::Sha256.of_parts(Kind::Composite, &parts).unwrap();
        let raw = [&one, &two].map(|value| BASE64.decode(value.as_bytes()).unwrap());
        let bare = digest(Algorithm::Sha256, &raw.concat());
        assert_eq!(composite.value, format!("{bare}-2"));
        assert!(composite.is(&bare) && composite.is(&composite.value) && !composite.is(&one));
        assert_eq!(Algorithm::Sha256.of_parts(Kind::FullObject, &parts), None);
    }
}
