//! What of the engine's backup manifest is looked at: the WAL that the backup needs. It stands at
//! the manifest's end, behind the list of files, which may be long.

use super::catalogue::WalRange;
use lumadb_contract::archive::Lsn;
use serde::Deserialize;

/// Kept of the manifest, bytes: WAL ranges and checksum fit many times over.
const TAIL_BYTES: usize = 64 * 1024;

/// The last bytes of a manifest that passes.
#[derive(Debug, Default)]
pub(super) struct ManifestTail {
    bytes: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Range {
    timeline: u32,
    #[serde(rename = "Start-LSN")]
    start_lsn: Lsn,
    #[serde(rename = "End-LSN")]
    end_lsn: Lsn,
}

impl ManifestTail {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        if self.bytes.len() > 2 * TAIL_BYTES {
            self.bytes.drain(..self.bytes.len() - TAIL_BYTES);
        }
    }

    /// `None`: there are none, or they are not understood.
    pub(super) fn wal_ranges(&self) -> Option<Vec<WalRange>> {
        let text = String::from_utf8_lossy(&self.bytes);
        let (_, behind) = text.rsplit_once("\"WAL-Ranges\":")?;
        let (ranges, _) = behind.split_once(']')?;
        let ranges: Vec<Range> = serde_json::from_str(&format!("{ranges}]")).ok()?;
        let ranges = ranges.into_iter().map(|range| WalRange {
            timeline: range.timeline,
            start_lsn: range.start_lsn,
            end_lsn: range.end_lsn,
        });
        Some(ranges.collect()).filter(|ranges: &Vec<_>| !ranges.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wal_that_a_backup_needs_stands_at_the_end_of_its_manifest() {
        let mut tail = ManifestTail::default();
        for file in 0..10_000 {
            tail.push(format!("{{ \"Path\": \"base/1/{file}\" }},\n").as_bytes());
        }
        tail.push(b"],\n\"WAL-Ranges\": [\n{ \"Timeline\": 2, \"Start-LSN\": \"0/4000028\", ");
        assert_eq!(tail.wal_ranges(), None);
        tail.push(b"\"End-LSN\": \"0/4000120\" }\n],\n\"Manifest-Checksum\": \"ab\"}\n");
        let range = WalRange {
            timeline: 2,
            start_lsn: Lsn(0x400_0028),
            end_lsn: Lsn(0x400_0120),
        };
        assert_eq!(tail.wal_ranges(), Some(vec![range]));
    }
}
