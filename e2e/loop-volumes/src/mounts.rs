//! What is mounted where, as the kernel says.

use std::path::{Path, PathBuf};
use tonic::Status;

const MOUNTS: &str = "/proc/self/mountinfo";

/// The device that is mounted at `place`, the last of several; `None` where nothing is.
///
/// # Errors
///
/// `INTERNAL` where the kernel does not say.
pub(crate) fn device_at(place: &Path) -> Result<Option<PathBuf>, Status> {
    let text = std::fs::read_to_string(MOUNTS)
        .map_err(|error| Status::internal(format!("{MOUNTS}: {error}")))?;
    Ok(find(&text, place))
}

/// In `mountinfo`, as proc(5) describes it: the mount point is the fifth field, the source the second
/// after the hyphen.
fn find(mountinfo: &str, place: &Path) -> Option<PathBuf> {
    let at = |line: &str| {
        let (mount, source) = line.split_once(" - ")?;
        let point = unescape(mount.split(' ').nth(4)?);
        (Path::new(&point) == place).then(|| source.split(' ').nth(1).map(unescape))?
    };
    mountinfo.lines().rev().find_map(at).map(PathBuf::from)
}

/// Takes back what the kernel writes as `\040`: blanks, tabs, line ends and backslashes.
fn unescape(field: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(field.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
80 22 7:3 / /k/globalmount rw,relatime shared:9 - ext4 /dev/loop3 rw
81 22 7:3 / /k/pods/a\\040b/mount rw - ext4 /dev/loop3 rw
82 22 7:4 / /k/globalmount rw - ext4 /dev/loop4 rw
";

    #[test]
    fn the_last_device_at_a_place_is_found() {
        let find = |place: &str| find(SAMPLE, Path::new(place));
        assert_eq!(find("/k/globalmount"), Some("/dev/loop4".into()));
        assert_eq!(find("/k/pods/a b/mount"), Some("/dev/loop3".into()));
        assert_eq!(find("/k"), None);
        assert_eq!(find("/"), Some("/dev/vda".into()));
    }
}
