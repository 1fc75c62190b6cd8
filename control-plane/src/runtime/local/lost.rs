//! Whether the folder of an instance that is not there is gone for certain.
//!
//! `instances/` may be a disk of its own. While that is not mounted, every folder seems to be gone and
//! none is. So it is noted by what `instances/` is known again: where it is another folder than it was,
//! nothing in it is gone for certain.

use super::files::{self, Durability};
use super::layout::{DataFolder, InstanceFolder};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// What becomes of the question whether a folder is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loss {
    Certain,
    /// Says why not.
    Doubtful(String),
}

/// What a folder is known by over restarts of the machine, which give devices other numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    inode: u64,
    /// A file system of its own is mounted there.
    is_mounted: bool,
}

impl Identity {
    fn of(data: &DataFolder) -> io::Result<Self> {
        let (root, instances) = (fs::metadata(data.root())?, fs::metadata(data.instances())?);
        Ok(Self {
            inode: instances.ino(),
            is_mounted: root.dev() != instances.dev(),
        })
    }
}

/// Where the folders of databases are.
#[derive(Debug)]
pub(super) struct Place {
    data: DataFolder,
}

impl Place {
    /// Notes by what `instances/` is known again, the first time. What was copied to another disk is
    /// another folder until somebody who knows removes the note.
    pub(super) fn open(data: &DataFolder) -> Self {
        let place = Self { data: data.clone() };
        if let Err(error) = place.note() {
            tracing::error!(%error, "no folder of a database will be taken for lost");
        }
        if let Some(why) = place.doubt() {
            tracing::warn!(why, "databases that are not there are not taken for lost");
        }
        place
    }

    fn note(&self) -> io::Result<()> {
        if self.noted()?.is_some() {
            return Ok(());
        }
        let text = serde_json::to_vec(&Identity::of(&self.data)?)?;
        let path = self.data.instances_place();
        files::replace(&path, &text, 0o600, Durability::Machine)
    }

    fn noted(&self) -> io::Result<Option<Identity>> {
        match fs::read(self.data.instances_place()) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why nothing that is not in `instances/` is gone for certain.
    fn doubt(&self) -> Option<String> {
        let shown = self.data.instances();
        let shown = shown.display();
        match (self.noted(), Identity::of(&self.data)) {
            (Ok(Some(noted)), Ok(now)) if noted == now => None,
            (Ok(_), Ok(_)) => Some(format!(
                "{shown} is not the folder that databases were put into: mount its disk; if that was \
                 copied or is lost, remove {} and restart",
                self.data.instances_place().display()
            )),
            (Err(error), _) | (_, Err(error)) => {
                Some(format!("{shown} could not be looked at: {error}"))
            }
        }
    }

    /// Whether the content of an instance that was there is gone.
    pub(super) fn loss(&self, folder: &InstanceFolder) -> Loss {
        for path in [folder.record(), folder.control_file()] {
            match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(_) => return Loss::Doubtful(format!("{} is there", path.display())),
                Err(error) => return Loss::Doubtful(format!("{}: {error}", path.display())),
            }
        }
        // Last: what was unmounted in between is noticed.
        self.doubt().map_or(Loss::Certain, Loss::Doubtful)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::id::DatabaseId;
    use std::path::Path;

    struct Scratch(DataFolder);

    impl Scratch {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("lumadb-{name}-{}", std::process::id()));
            let data = DataFolder::new(root);
            files::make_folder(&data.instances(), 0o700).expect("made");
            Self(data)
        }

        fn folder(&self) -> InstanceFolder {
            self.0
                .instance(DatabaseId::from_uuid(uuid::Uuid::from_u128(7)))
        }
    }

    fn fill(file: &Path) {
        files::make_folder(file.parent().expect("a parent"), 0o700).expect("made");
        fs::write(file, "{}").expect("written");
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = files::remove_folder(self.0.root());
        }
    }

    fn is_doubtful(loss: &Loss, word: &str) -> bool {
        matches!(loss, Loss::Doubtful(why) if why.contains(word))
    }

    #[test]
    fn a_folder_is_gone_when_nothing_of_it_is_where_it_was() {
        let scratch = Scratch::new("lost");
        let (place, folder) = (Place::open(&scratch.0), scratch.folder());
        assert_eq!(place.loss(&folder), Loss::Certain);
        // A process that is still there may have made a part of it anew.
        fill(&folder.node().join("spec.json"));
        assert_eq!(place.loss(&folder), Loss::Certain);
        fill(&folder.control_file());
        assert!(is_doubtful(&place.loss(&folder), "pg_control"));
        fs::remove_file(folder.control_file()).expect("removed");
        fill(&folder.record());
        assert!(is_doubtful(&place.loss(&folder), "instance.json"));
    }

    #[test]
    fn what_was_on_a_disk_that_is_not_there_is_not_gone() {
        let scratch = Scratch::new("unmounted");
        let folder = scratch.folder();
        fill(&folder.record());
        Place::open(&scratch.0);
        let (instances, disk) = (scratch.0.instances(), scratch.0.root().join("disk"));
        fs::rename(&instances, &disk).expect("unmounted");
        files::make_folder(&instances, 0o700).expect("made");
        let place = Place::open(&scratch.0);
        assert!(is_doubtful(&place.loss(&folder), "mount its disk"));
        // Also for a runtime that was there before.
        fs::remove_dir(&instances).expect("removed");
        fs::rename(&disk, &instances).expect("mounted");
        files::remove_folder(folder.root()).expect("lost");
        assert_eq!(place.loss(&folder), Loss::Certain);
        fs::remove_dir(&instances).expect("lost, all of it");
        assert!(is_doubtful(&place.loss(&folder), "could not be looked at"));
    }
}
