//! `BASE_BACKUP`: the data folder as a tar archive, and the manifest of what is in it.

use super::wire::{Message, Row, Wire};
use super::{ReplicationClient, ReplicationError};
use bytes::{Buf, Bytes};
use lumadb_contract::archive::Lsn;
use std::fmt::Write;

const DOING: &str = "making a base backup";
const UPLOADING: &str = "telling the engine what an incremental backup builds on";

/// Sent at once, bytes.
const UPLOAD_BYTES: usize = 64 * 1024;

/// What a walsender accepts as a limit, KiB a second.
const RATE_KIB: std::ops::RangeInclusive<u32> = 32..=1_048_576;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOptions {
    /// Stands in `backup_label`; letters, digits, `_` and `-` only, others are left out.
    pub label: String,
    /// Against the manifest that was uploaded on this connection.
    pub incremental: bool,
    /// The engine reads no faster, KiB a second.
    pub rate_kib: Option<u32>,
}

impl BackupOptions {
    fn command(&self) -> String {
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || "_-".contains(*letter);
        let label: String = self.label.chars().filter(plain).collect();
        let mut command = format!(
            "BASE_BACKUP (LABEL '{label}', PROGRESS true, CHECKPOINT 'fast', WAL false, \
             WAIT false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', TARGET 'client', \
             TABLESPACE_MAP true"
        );
        // Writing to a string does not fail.
        if let Some(rate) = self.rate_kib {
            let rate = rate.clamp(*RATE_KIB.start(), *RATE_KIB.end());
            let _ = write!(command, ", MAX_RATE {rate}");
        }
        if self.incremental {
            command.push_str(", INCREMENTAL true");
        }
        command.push(')');
        command
    }
}

/// What the engine says before it sends anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupStart {
    pub start: Lsn,
    pub timeline: u32,
    /// What it expects to send, bytes; of an incremental one, what it expects to read.
    pub bytes_expected: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupEvent {
    /// The data folder's archive follows.
    Archive,
    /// The manifest follows.
    Manifest,
    /// Of what was announced last.
    Data(Bytes),
    /// Bytes read so far.
    Progress(u64),
    /// The whole backup was sent; it is of use with WAL up to here.
    End { end: Lsn, timeline: u32 },
}

/// A backup that is being sent. [`Self::next`] may be dropped while it waits.
#[derive(Debug)]
pub struct BaseBackup {
    wire: Wire,
    end: Option<(Lsn, u32)>,
}

impl BaseBackup {
    pub(super) async fn start(
        mut wire: Wire,
        options: &BackupOptions,
    ) -> Result<(BackupStart, Self), ReplicationError> {
        wire.queue_query(&options.command())?;
        wire.flush().await?;
        let mut rows = Vec::new();
        loop {
            let message = wire.expect(DOING).await?;
            match message.tag {
                b'D' => rows.extend(Row::read(message.body)),
                b'H' => break,
                b'Z' => return Err(unexpected("no archive")),
                _ => {}
            }
        }
        let mut rows = rows.into_iter();
        let first = rows.next().ok_or_else(|| unexpected("no start"))?;
        let mut start = BackupStart {
            start: first.parse(DOING, 0)?,
            timeline: first.parse(DOING, 1)?,
            bytes_expected: 0,
        };
        for row in rows {
            if let Some(path) = row.text(1) {
                return Err(ReplicationError::Tablespace(path.to_owned()));
            }
            let kib: u64 = row.parse_optional(DOING, 2)?.unwrap_or_default();
            start.bytes_expected += kib * 1024;
        }
        Ok((start, Self { wire, end: None }))
    }

    pub async fn next(&mut self) -> Result<BackupEvent, ReplicationError> {
        loop {
            let Message { tag, body } = self.wire.expect(DOING).await?;
            match tag {
                b'd' => return event(body),
                b'D' => {
                    let row = Row::read(body).unwrap_or_default();
                    self.end = Some((row.parse(DOING, 0)?, row.parse(DOING, 1)?));
                }
                b'Z' => {
                    let (end, timeline) = self.end.ok_or_else(|| unexpected("no end"))?;
                    return Ok(BackupEvent::End { end, timeline });
                }
                _ => {}
            }
        }
    }
}

fn unexpected(what: &'static str) -> ReplicationError {
    ReplicationError::Protocol { doing: DOING, what }
}

fn event(mut body: Bytes) -> Result<BackupEvent, ReplicationError> {
    let short = |_| unexpected("a short message");
    match body.try_get_u8().map_err(short)? {
        b'n' => {
            // Name of the archive and path of the tablespace, each ended by a zero.
            let mut texts = body.split(|byte| *byte == 0);
            let path = texts.nth(1).unwrap_or_default();
            if path.is_empty() {
                return Ok(BackupEvent::Archive);
            }
            let path = String::from_utf8_lossy(path).into_owned();
            Err(ReplicationError::Tablespace(path))
        }
        b'm' => Ok(BackupEvent::Manifest),
        b'd' => Ok(BackupEvent::Data(body)),
        b'p' => Ok(BackupEvent::Progress(body.try_get_u64().map_err(short)?)),
        _ => Err(unexpected("an unknown message")),
    }
}

/// A manifest on its way to the engine.
#[derive(Debug)]
pub struct ManifestUpload {
    wire: Wire,
}

impl ManifestUpload {
    pub(super) async fn start(mut wire: Wire) -> Result<Self, ReplicationError> {
        wire.queue_query("UPLOAD_MANIFEST")?;
        wire.flush().await?;
        loop {
            match wire.expect(UPLOADING).await?.tag {
                b'G' => return Ok(Self { wire }),
                b'Z' => {
                    return Err(ReplicationError::Protocol {
                        doing: UPLOADING,
                        what: "it takes no manifest",
                    });
                }
                _ => {}
            }
        }
    }

    /// Sends a part of the manifest.
    pub async fn write(&mut self, manifest: &[u8]) -> Result<(), ReplicationError> {
        for part in manifest.chunks(UPLOAD_BYTES) {
            self.wire.queue_copy_data(part)?;
            self.wire.flush().await?;
        }
        Ok(())
    }

    /// Ends it; the connection takes an incremental `BASE_BACKUP` next.
    pub async fn finish(mut self) -> Result<ReplicationClient, ReplicationError> {
        self.wire.queue_copy_done();
        self.wire.flush().await?;
        self.wire.rows_until_ready(UPLOADING).await?;
        Ok(ReplicationClient { wire: self.wire })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_quotes_and_a_rate_is_what_the_engine_takes() {
        let options = BackupOptions {
            label: "bak_1', MANIFEST 'no".to_owned(),
            incremental: true,
            rate_kib: Some(1),
        };
        let command = options.command();
        assert!(command.contains("LABEL 'bak_1MANIFESTno',"), "{command}");
        assert!(
            command.ends_with("MAX_RATE 32, INCREMENTAL true)"),
            "{command}"
        );
    }

    #[test]
    fn an_archive_of_a_tablespace_is_refused_with_its_path() {
        let base = Bytes::from_static(b"nbase.tar\0\0");
        assert_eq!(event(base).ok(), Some(BackupEvent::Archive));
        let other = event(Bytes::from_static(b"n16384.tar\0/mnt/fast\0"));
        assert!(matches!(other, Err(ReplicationError::Tablespace(path)) if path == "/mnt/fast"));
    }
}
