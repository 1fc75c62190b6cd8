//! What is asked of a volume, checked.

use crate::csi::{AccessModeKind, AccessType, CapacityRange, VolumeCapability};
use std::fmt::{self, Display};
use tonic::Status;

/// Sizes are whole mebibytes.
const UNIT_BYTES: u64 = 1 << 20;

/// Smallest volume that is made, bytes: `mkfs.xfs` makes none below that.
const BYTES_MIN: u64 = 300 * UNIT_BYTES;

/// Largest, bytes.
const BYTES_MAX: u64 = 16 << 40;

/// The one kind of file system. Others grow while they are mounted too; but ext4 for those processes
/// alone that have the capability `SYS_RESOURCE`, which root in a container has not.
pub(crate) const FILE_SYSTEM: &str = "xfs";

/// The ID of a volume, which its file is named after: letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeId(String);

impl VolumeId {
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for what could not be the name of a file everywhere.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let letters = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
        if text.is_empty() || text.len() > 128 || !text.bytes().all(letters) {
            return Err(Status::invalid_argument(format!(
                "{text:?} names no volume: letters, digits and hyphens do, 128 at most"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A range of sizes, bytes, from a whole mebibyte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) least: u64,
    pub(crate) most: u64,
}

impl Sizes {
    /// # Errors
    ///
    /// `OUT_OF_RANGE` where no size is in it.
    pub(crate) fn parse(range: Option<CapacityRange>) -> Result<Self, Status> {
        let range = range.unwrap_or_default();
        let none = || Status::out_of_range(format!("no volume can be so large: {range:?}"));
        let required = u64::try_from(range.required_bytes).map_err(|_| none())?;
        let limit = u64::try_from(range.limit_bytes).map_err(|_| none())?;
        let sizes = Self {
            least: required.next_multiple_of(UNIT_BYTES).max(BYTES_MIN),
            most: if limit == 0 { BYTES_MAX } else { limit },
        };
        if sizes.least > sizes.most || sizes.least > BYTES_MAX {
            return Err(none());
        }
        Ok(sizes)
    }

    pub(crate) fn contains(self, bytes: u64) -> bool {
        (self.least..=self.most).contains(&bytes)
    }
}

/// Whether volumes of this driver can be used so: mounted, as [`FILE_SYSTEM`], on one machine.
///
/// # Errors
///
/// Why not, in words.
pub(crate) fn usable(capability: &VolumeCapability) -> Result<(), String> {
    match &capability.access_type {
        Some(AccessType::Mount(mount)) => {
            if !matches!(mount.fs_type.as_str(), "" | FILE_SYSTEM) {
                return Err(format!("{} is not {FILE_SYSTEM}", mount.fs_type));
            }
        }
        Some(AccessType::Block(_)) => return Err("volumes are file systems alone".into()),
        None => return Err("it does not say how the volume is used".into()),
    }
    let mode = capability.access_mode.map(|access| access.mode());
    match mode {
        Some(
            AccessModeKind::SingleNodeWriter
            | AccessModeKind::SingleNodeReaderOnly
            | AccessModeKind::SingleNodeSingleWriter
            | AccessModeKind::SingleNodeMultiWriter,
        ) => Ok(()),
        other => Err(format!("one machine has the volume, and not {other:?}")),
    }
}

/// [`usable`] for the one capability of a request.
///
/// # Errors
///
/// `INVALID_ARGUMENT` where it is missing or cannot be had.
pub(crate) fn require_usable(capability: Option<&VolumeCapability>) -> Result<(), Status> {
    let capability = capability.ok_or_else(|| Status::invalid_argument("no capability"))?;
    usable(capability).map_err(Status::invalid_argument)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csi::{AccessMode, BlockVolume, MountVolume};

    const MIB: u64 = 1 << 20;

    #[test]
    fn an_id_is_the_name_of_a_file_and_no_path() {
        assert!(VolumeId::parse("pvc-3fbe0b5d-2f2c-4c3a-9d0c-0a3bb6f4a4a1").is_ok());
        for text in ["", "..", "a/b", "a b", "a.img", "ü", &"a".repeat(129)] {
            assert!(VolumeId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_whole_mebibytes_within_what_is_asked() {
        let parse = |required_bytes, limit_bytes| {
            Sizes::parse(Some(CapacityRange {
                required_bytes,
                limit_bytes,
            }))
            .ok()
            .map(|sizes| sizes.least)
        };
        assert_eq!(Sizes::parse(None).expect("no bound").least, 300 * MIB);
        assert_eq!(parse(1, 0), Some(300 * MIB));
        assert_eq!(parse(400_000_000, 0), Some(382 * MIB));
        assert_eq!(parse(1 << 30, 1 << 30), Some(1 << 30));
        // There is no whole mebibyte between them.
        assert_eq!(parse(400_000_000, 400_000_001), None);
        assert_eq!(parse(1 << 30, 1 << 29), None);
        assert_eq!(parse(-1, 0), None);
        assert_eq!(parse(i64::MAX, 0), None);
    }

    #[test]
    fn a_volume_is_mounted_as_xfs_on_one_machine() {
        let mount = |fs_type: &str, mode: AccessModeKind| VolumeCapability {
            access_type: Some(AccessType::Mount(MountVolume {
                fs_type: fs_type.into(),
                mount_flags: Vec::new(),
            })),
            access_mode: Some(AccessMode { mode: mode.into() }),
        };
        assert_eq!(usable(&mount("", AccessModeKind::SingleNodeWriter)), Ok(()));
        assert_eq!(
            usable(&mount("xfs", AccessModeKind::SingleNodeSingleWriter)),
            Ok(())
        );
        let block = VolumeCapability {
            access_type: Some(AccessType::Block(BlockVolume {})),
            ..mount("", AccessModeKind::SingleNodeWriter)
        };
        for refused in [
            mount("ext4", AccessModeKind::SingleNodeWriter),
            mount("xfs", AccessModeKind::MultiNodeMultiWriter),
            block,
            VolumeCapability::default(),
        ] {
            assert!(usable(&refused).is_err(), "{refused:?}");
        }
    }
}
