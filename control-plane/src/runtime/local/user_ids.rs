//! The users that instances run as: IDs that no other instance on this machine has.
//!
//! IDs are given out in ranges. A data folder takes a range as a whole, so that two clouds on one
//! machine have no user in common, and gives IDs out of it one after the other, none twice. Two
//! things say whose a range is: the folder's own record names the ranges it holds, and a claim
//! outside every data folder names the folder. Only both together count:
//!
//! - A claim whose folder is gone, or does not name the range, is nobody's. So a kill between the
//!   two writes, a removed folder and a moved one leave nothing behind that needs care.
//! - A record whose range another folder holds as well (a copied folder, or one from before there
//!   were claims) keeps what was given out and goes on in a range of its own.
//!
//! Everything happens under the folder's lock and the machine's, which go with the process.

use super::files::{self, Durability};
use super::folder::{FolderError, Owners, is_root};
use super::layout::DataFolder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// First user ID given to an instance.
const USER_ID_FIRST: u32 = 200_000;

/// The last one: beyond it systems keep IDs for other uses.
const USER_ID_LAST: u32 = 2_000_000_000;

/// IDs in one range.
const RANGE_IDS: u32 = 1_000_000;

/// Ranges that there are.
const RANGES: u32 = (USER_ID_LAST - USER_ID_FIRST) / RANGE_IDS;

/// Engine, node and group.
const IDS_PER_INSTANCE: u32 = 3;

/// Where the claims of this machine are: one file a range, named by its number.
const CLAIMS: &str = "/var/lib/lumadb/user-ids";

/// What `user-ids.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The next ID that no instance has had.
    next: u32,
    /// Ranges that instances of this folder have users of; IDs are given out of the last one.
    #[serde(default)]
    ranges: Vec<u32>,
}

impl Record {
    /// Before there were claims, every folder began with the first range.
    fn with_ranges(mut self) -> Self {
        if self.ranges.is_empty() {
            let last = self.next.saturating_sub(USER_ID_FIRST + 1) / RANGE_IDS;
            self.ranges = (0..=last).collect();
        }
        self
    }

    /// The range to give out of, if there is room in it for one more instance.
    fn current(&self) -> Option<u32> {
        let range = *self.ranges.last()?;
        (self.next + IDS_PER_INSTANCE <= ids_of(range).end).then_some(range)
    }
}

/// What a claim says.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    data_folder: PathBuf,
}

/// Whose a range is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// Nobody ever claimed it.
    Nobody,
    /// Who claimed it does not hold it any more.
    Gone,
    Ours,
    Other,
}

/// The IDs of one data folder.
#[derive(Debug)]
pub(super) struct UserIds<'a> {
    data: &'a DataFolder,
    claims: &'a Path,
    ranges: u32,
    /// Ranges that processes have their users of.
    running: fn() -> BTreeSet<u32>,
}

/// Makes sure that a data folder holds a range, where instances have users of their own.
pub fn claim(data: &DataFolder) -> Result<(), FolderError> {
    if is_root() {
        let ids = UserIds::new(data);
        let _locks = ids.lock()?;
        ids.settle()?;
    }
    Ok(())
}

impl<'a> UserIds<'a> {
    pub(super) fn new(data: &'a DataFolder) -> Self {
        Self {
            data,
            claims: Path::new(CLAIMS),
            ranges: RANGES,
            running: ranges_running,
        }
    }

    /// Three IDs that no instance has had.
    pub(super) fn give(&self) -> Result<Owners, FolderError> {
        let _locks = self.lock()?;
        let mut record = self.settle()?;
        let first = record.next;
        record.next += IDS_PER_INSTANCE;
        self.write(&record)?;
        Ok(Owners {
            engine: first,
            node: first + 1,
            group: first + 2,
        })
    }

    /// The folder's lock, since `up` and the worker both make instances, and the machine's.
    fn lock(&self) -> Result<[File; 2], FolderError> {
        files::make_folder(self.claims, 0o755).map_err(failed(self.claims))?;
        let lock = |path: PathBuf| {
            File::create(&path)
                .and_then(|file| file.lock().map(|()| file))
                .map_err(failed(&path))
        };
        Ok([
            lock(self.data.user_ids().with_extension("lock"))?,
            lock(self.claims.join("lock"))?,
        ])
    }

    /// Renews the claims and answers with a record that has room for an instance.
    fn settle(&self) -> Result<Record, FolderError> {
        let path = self.data.user_ids();
        let known: Option<Record> = read(&path)?;
        let mut record = known.map_or(
            Record {
                next: USER_ID_FIRST,
                ranges: Vec::new(),
            },
            Record::with_ranges,
        );
        let mut shared = BTreeSet::new();
        for range in record.ranges.iter().copied() {
            match self.holder(range)? {
                Holder::Ours => {}
                Holder::Nobody | Holder::Gone => self.write_claim(range)?,
                Holder::Other => {
                    shared.insert(range);
                }
            }
        }
        if record
            .current()
            .is_some_and(|range| !shared.contains(&range))
        {
            return Ok(record);
        }
        if !shared.is_empty() {
            tracing::warn!(
                ranges = ?shared,
                "another data folder has these user IDs as well; instances get others from now on"
            );
        }
        let range = self.free(&record)?;
        record.next = ids_of(range).start;
        record.ranges.push(range);
        self.write_claim(range)?;
        self.write(&record)?;
        Ok(record)
    }

    /// A range that nobody holds: rather one that this folder was about to take, or that nobody ever
    /// held, since what is gone may only be on a disk that is not there now. The first range is left
    /// to folders from before there were claims.
    fn free(&self, record: &Record) -> Result<u32, FolderError> {
        let running = (self.running)();
        let (mut untouched, mut gone) = (None, None);
        for range in 1..self.ranges {
            if record.ranges.contains(&range) || running.contains(&range) {
                continue;
            }
            match self.holder(range)? {
                Holder::Ours => return Ok(range),
                Holder::Nobody => untouched = untouched.or(Some(range)),
                Holder::Gone => gone = gone.or(Some(range)),
                Holder::Other => {}
            }
        }
        untouched
            .or(gone)
            .ok_or_else(|| FolderError::UserIdsExhausted {
                claims: self.claims.to_owned(),
            })
    }

    fn holder(&self, range: u32) -> Result<Holder, FolderError> {
        let Some(claim) = read::<Claim>(&self.claim_path(range))? else {
            return Ok(Holder::Nobody);
        };
        // One folder may be reached by two paths.
        if is_same(&claim.data_folder, self.data.root()) {
            return Ok(Holder::Ours);
        }
        let record = DataFolder::new(&claim.data_folder).user_ids();
        let holds = match read::<Record>(&record) {
            Ok(Some(record)) => record.with_ranges().ranges.contains(&range),
            Ok(None) => false,
            // What cannot be read may well be a folder in use.
            Err(_) => true,
        };
        Ok(if holds { Holder::Other } else { Holder::Gone })
    }

    fn claim_path(&self, range: u32) -> PathBuf {
        self.claims.join(format!("{range}.json"))
    }

    fn write_claim(&self, range: u32) -> Result<(), FolderError> {
        let claim = Claim {
            data_folder: self.data.root().to_owned(),
        };
        write(&self.claim_path(range), &claim)
    }

    fn write(&self, record: &Record) -> Result<(), FolderError> {
        write(&self.data.user_ids(), record)
    }
}

fn ids_of(range: u32) -> Range<u32> {
    let start = USER_ID_FIRST + range * RANGE_IDS;
    start..start + RANGE_IDS
}

/// Ranges that some process has its user of: whoever runs it may know nothing of claims, or see
/// others.
fn ranges_running() -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let users = processes.filter_map(|process| Some(process.metadata().ok()?.uid()));
    users
        .filter_map(|user| Some(user.checked_sub(USER_ID_FIRST)? / RANGE_IDS))
        .collect()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    one == other || matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FolderError + Copy + '_ {
    move |source| FolderError::file(path, source)
}

/// `None`: it is not there.
fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| FolderError::file(path, error.into())),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(FolderError::file(path, error)),
    }
}

fn write(path: &Path, content: &impl Serialize) -> Result<(), FolderError> {
    serde_json::to_vec(content)
        .map_err(io::Error::from)
        .and_then(|text| files::replace(path, &text, 0o600, Durability::Machine))
        .map_err(failed(path))
}

#[cfg(test)]
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the path of the method is not general enough in its lifetime"
)]
mod tests {
    use super::*;

    /// A machine with a few ranges and the data folders on it.
    struct Machine {
        root: PathBuf,
        ranges: u32,
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            files::remove_folder(&self.root).expect("removed");
        }
    }

    impl Machine {
        fn new(name: &str, ranges: u32) -> Self {
            let name = format!("lumadb-ids-{name}-{}", std::process::id());
            let root = std::env::temp_dir().join(name);
            Self { root, ranges }
        }

        fn data(&self, name: &str) -> DataFolder {
            let data = DataFolder::new(self.root.join(name));
            files::make_folder(data.root(), 0o700).expect("made");
            data
        }

        fn claims(&self) -> PathBuf {
            self.root.join("claims")
        }

        fn with<T>(&self, name: &str, run: impl FnOnce(&UserIds<'_>) -> T) -> T {
            run(&UserIds {
                data: &self.data(name),
                claims: &self.claims(),
                ranges: self.ranges,
                running: BTreeSet::new,
            })
        }

        fn give(&self, name: &str) -> u32 {
            self.with(name, |ids| ids.give()).expect("given").engine
        }

        fn remove(&self, name: &str) {
            files::remove_folder(self.data(name).root()).expect("removed");
        }
    }

    fn range_of(id: u32) -> u32 {
        (id - USER_ID_FIRST) / RANGE_IDS
    }

    #[test]
    fn two_data_folders_have_different_ranges_and_keep_them() {
        let machine = Machine::new("two", 10);
        let (a, b) = (machine.give("a"), machine.give("b"));
        assert_ne!(range_of(a), range_of(b));
        assert_eq!(machine.give("a"), a + 3);
        // A machine that forgot its claims learns them again.
        files::remove_folder(&machine.claims()).expect("removed");
        assert_eq!(machine.give("b"), b + 3);
        assert_eq!(machine.give("a"), a + 6);
        let c = range_of(machine.give("c"));
        assert!(c != range_of(a) && c != range_of(b));
    }

    #[test]
    fn a_folder_that_is_gone_leaves_its_range_when_no_other_is_left() {
        let machine = Machine::new("gone", 3);
        let a = machine.give("a");
        machine.give("b");
        let full = machine
            .with("c", |ids| ids.give())
            .expect_err("no range left");
        let claims = machine.claims().display().to_string();
        assert!(full.to_string().contains(&claims), "{full}");
        machine.remove("a");
        assert_eq!(range_of(machine.give("c")), range_of(a));
    }

    #[test]
    fn a_kill_between_claim_and_record_leaves_nothing() {
        let machine = Machine::new("kill", 2);
        // The claim was written, the record was not.
        machine.with("a", |ids| {
            let _locks = ids.lock().expect("locked");
            ids.write_claim(1).expect("claimed");
        });
        let b = machine.give("b");
        assert_eq!(range_of(b), 1, "the only range was free");
        assert!(machine.with("a", |ids| ids.give()).is_err());
    }

    #[test]
    fn a_kill_before_the_record_is_made_up_for_by_the_same_folder() {
        let machine = Machine::new("same", 2);
        machine.with("a", |ids| {
            let _locks = ids.lock().expect("locked");
            ids.write_claim(1).expect("claimed");
        });
        assert_eq!(range_of(machine.give("a")), 1);
    }

    #[test]
    fn a_folder_from_before_there_were_claims_goes_on_where_it_was() {
        let machine = Machine::new("old", 10);
        let old = machine.data("old").user_ids();
        fs::write(old, br#"{"next":200042}"#).expect("written");
        assert_ne!(range_of(machine.give("new")), 0);
        assert_eq!(machine.give("old"), 200_042);
        // A second one of that kind gives other IDs from now on.
        let older = machine.data("older").user_ids();
        fs::write(older, br#"{"next":200021}"#).expect("written");
        let given = machine.give("older");
        assert_ne!(range_of(given), 0);
        assert_eq!(machine.give("older"), given + 3);
    }

    #[test]
    fn a_moved_folder_keeps_its_range_and_a_copied_one_gets_its_own() {
        let machine = Machine::new("moved", 10);
        let a = machine.give("a");
        machine.remove("moved");
        let (from, to) = (machine.data("a"), machine.root.join("moved"));
        fs::rename(from.root(), to).expect("moved");
        assert_eq!(machine.give("moved"), a + 3);

        let record = fs::read(machine.data("moved").user_ids()).expect("read");
        fs::write(machine.data("copy").user_ids(), record).expect("copied");
        assert_ne!(range_of(machine.give("copy")), range_of(a));
        assert_eq!(machine.give("moved"), a + 6);
    }

    #[test]
    fn a_full_range_is_followed_by_another_one() {
        let machine = Machine::new("full", 10);
        let a = machine.give("a");
        let last = ids_of(range_of(a)).end - 1;
        let record = format!(r#"{{"next":{last},"ranges":[{}]}}"#, range_of(a));
        fs::write(machine.data("a").user_ids(), record).expect("written");
        let next = machine.give("a");
        assert_eq!(next, ids_of(range_of(next)).start);
        assert_ne!(range_of(next), range_of(a));
        let b = range_of(machine.give("b"));
        assert!(b != range_of(a) && b != range_of(next));
    }

    #[test]
    fn every_range_lies_between_the_first_id_and_the_last() {
        assert_eq!(ids_of(0).start, USER_ID_FIRST);
        assert!(ids_of(RANGES - 1).end <= USER_ID_LAST);
    }
}
