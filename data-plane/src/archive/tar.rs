//! Tar archives as PostgreSQL writes them: plain ustar (POSIX.1-1988), files and folders only.
//!
//! Reading them takes some dozen lines, and what is refused is as important as what is read: a path
//! that leaves the folder, a link, a device. An archive passes in pieces of any size.

use std::path::{Component, Path, PathBuf};

/// Headers take one block, and contents whole ones.
const BLOCK_BYTES: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    #[error("a header of the archive has another checksum than it says")]
    Checksum,
    #[error("a header of the archive holds a number that is none")]
    Number,
    #[error("`{path}` is of kind `{kind}`, neither file nor folder")]
    Kind { path: String, kind: char },
    #[error("`{0}` leads out of the folder")]
    Path(String),
    #[error("the archive ends within a member")]
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    Folder,
}

/// What a header says of its member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Relative, and below the folder whatever it holds.
    pub(super) path: PathBuf,
    pub(super) kind: MemberKind,
    pub(super) bytes: u64,
}

/// What was met in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TarEvent<'data> {
    Member(Member),
    /// Content of the member, in order.
    Data(&'data [u8]),
    /// The archive can be cut here: both halves are archives.
    MemberEnd,
}

/// Follows one archive.
#[derive(Debug, Default)]
pub(super) struct TarReader {
    /// Of the header that is being collected.
    header: Vec<u8>,
    /// Of the member's content that is still to come.
    body: u64,
    padding: u64,
    within: bool,
}

impl TarReader {
    /// The next event in `data`, which is cut by what it took; `None`: all of it was taken.
    pub(super) fn next<'data>(
        &mut self,
        data: &mut &'data [u8],
    ) -> Result<Option<TarEvent<'data>>, TarError> {
        loop {
            if self.within && self.body == 0 && self.padding == 0 {
                self.within = false;
                return Ok(Some(TarEvent::MemberEnd));
            }
            if data.is_empty() {
                return Ok(None);
            }
            if self.body > 0 {
                let content = take(data, self.body);
                self.body -= content.len() as u64;
                return Ok(Some(TarEvent::Data(content)));
            }
            if self.padding > 0 {
                self.padding -= take(data, self.padding).len() as u64;
                continue;
            }
            let missing = BLOCK_BYTES - self.header.len();
            self.header.extend_from_slice(take(data, missing as u64));
            if self.header.len() < BLOCK_BYTES {
                return Ok(None);
            }
            let member = header_read(&self.header)?;
            self.header.clear();
            // Zeros end an archive; PostgreSQL's own programs skip them too.
            if let Some(member) = member {
                self.within = true;
                self.body = member.bytes;
                self.padding = member.bytes.next_multiple_of(BLOCK_BYTES as u64) - member.bytes;
                return Ok(Some(TarEvent::Member(member)));
            }
        }
    }

    /// An error if the archive is not whole.
    pub(super) fn finish(&self) -> Result<(), TarError> {
        let whole = self.header.is_empty() && !self.within;
        whole.then_some(()).ok_or(TarError::Cut)
    }
}

fn take<'data>(data: &mut &'data [u8], most: u64) -> &'data [u8] {
    let length = usize::try_from(most).unwrap_or(usize::MAX).min(data.len());
    let (taken, left) = data.split_at(length);
    *data = left;
    taken
}

/// `None`: a block of zeros.
fn header_read(block: &[u8]) -> Result<Option<Member>, TarError> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let blank = |(at, byte): (usize, &u8)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    };
    let sum: u64 = block.iter().enumerate().map(blank).sum();
    if number(&block[148..156])? != sum {
        return Err(TarError::Checksum);
    }
    let mut path = text(&block[..100]);
    let prefix = text(&block[345..500]);
    if !prefix.is_empty() {
        path = format!("{prefix}/{path}");
    }
    let kind = match block[156] {
        b'0' | 0 => MemberKind::File,
        b'5' => MemberKind::Folder,
        other => {
            let kind = char::from(other);
            return Err(TarError::Kind { path, kind });
        }
    };
    let bytes = match kind {
        MemberKind::File => number(&block[124..136])?,
        MemberKind::Folder => 0,
    };
    let path = plain_path(&path)?;
    Ok(Some(Member { path, kind, bytes }))
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}

/// Octal digits, or a binary number behind a byte of 0x80.
fn number(field: &[u8]) -> Result<u64, TarError> {
    if field[0] == 0x80 {
        let (high, low) = field[1..].split_at(field.len() - 1 - 8);
        let fits = high.iter().all(|byte| *byte == 0);
        let low = <[u8; 8]>::try_from(low).map_err(|_| TarError::Number)?;
        return fits
            .then(|| u64::from_be_bytes(low))
            .ok_or(TarError::Number);
    }
    let digits = text(field);
    let digits = digits.trim_matches(' ');
    u64::from_str_radix(digits, 8).map_err(|_| TarError::Number)
}

/// The path if it stays below the folder.
fn plain_path(path: &str) -> Result<PathBuf, TarError> {
    let mut plain = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ => return Err(TarError::Path(path.to_owned())),
        }
    }
    if plain.as_os_str().is_empty() && !path.starts_with('.') {
        return Err(TarError::Path(path.to_owned()));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(path: &str, kind: u8, bytes: u64) -> Vec<u8> {
        let mut block = vec![0; BLOCK_BYTES];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
        block[156] = kind;
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block
    }

    fn archive() -> Vec<u8> {
        let mut archive = block("base/", b'5', 0);
        archive.extend(block("base/1", b'0', 700));
        archive.extend([7; 700]);
        archive.extend([0; 324]);
        archive.extend(block("empty", b'0', 0));
        archive.extend([0; 1024]);
        archive
    }

    #[test]
    fn an_archive_reads_the_same_in_pieces_of_any_size() {
        let archive = archive();
        for piece in [1, 511, 512, 513, 4096] {
            let mut reader = TarReader::default();
            let (mut members, mut content, mut ends) = (Vec::new(), Vec::new(), 0);
            for mut data in archive.chunks(piece) {
                while let Some(event) = reader.next(&mut data).expect("reads") {
                    match event {
                        TarEvent::Member(member) => members.push(member.path),
                        TarEvent::Data(data) => content.extend_from_slice(data),
                        TarEvent::MemberEnd => ends += 1,
                    }
                }
            }
            reader.finish().expect("whole");
            let paths = ["base", "base/1", "empty"].map(PathBuf::from);
            assert_eq!((members, ends), (paths.to_vec(), 3), "pieces of {piece}");
            assert_eq!(content, [7; 700]);
        }
    }

    #[test]
    fn what_would_leave_the_folder_is_refused() {
        for path in ["../x", "/etc/passwd", "base/../../x", ""] {
            let read = header_read(&block(path, b'0', 0));
            assert!(matches!(read, Err(TarError::Path(_))), "{path}");
        }
        for kind in [b'1', b'2', b'3', b'x', b'L'] {
            let read = header_read(&block("pg_tblspc/1", kind, 0));
            assert!(matches!(read, Err(TarError::Kind { .. })), "{kind}");
        }
        let mut damaged = block("x", b'0', 0);
        damaged[0] ^= 1;
        assert_eq!(header_read(&damaged), Err(TarError::Checksum));
    }

    #[test]
    fn an_archive_that_is_cut_is_not_whole() {
        let archive = archive();
        for length in [100, 512 + 100, 1024 + 100, 1024 + 700 + 100] {
            let mut reader = TarReader::default();
            let mut data = &archive[..length];
            while reader.next(&mut data).expect("reads").is_some() {}
            assert_eq!(reader.finish(), Err(TarError::Cut), "{length}");
        }
    }

    #[test]
    fn sizes_of_more_than_eight_gibibytes_are_read() {
        let mut field = [0; 12];
        field[0] = 0x80;
        field[4..].copy_from_slice(&(10_u64 << 30).to_be_bytes());
        assert_eq!(number(&field), Ok(10 << 30));
        field[1] = 1;
        assert_eq!(number(&field), Err(TarError::Number));
    }
}
