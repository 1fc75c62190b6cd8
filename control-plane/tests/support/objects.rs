//! An object store without objects, which can fail or be cut off.

use lumadb_contract::archive::ArchiveAccess;
use lumadb_contract::id::ArchiveId;
use lumadb_control_plane::runtime::{ArchiveObjects, ObjectsError};
use std::sync::{Mutex, MutexGuard};

/// What befalls the next calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    #[default]
    None,
    Fails,
    /// It is done, but nobody is told.
    FailsAfter,
}

#[derive(Debug, Default)]
struct State {
    removed: Vec<ArchiveId>,
    trouble: Trouble,
}

#[derive(Debug, Default)]
pub(crate) struct FakeObjects {
    state: Mutex<State>,
}

impl FakeObjects {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    pub(crate) fn befall(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    /// Archives that were removed, as often as they were.
    pub(crate) fn removed(&self) -> Vec<ArchiveId> {
        self.state().removed.clone()
    }
}

impl ArchiveObjects for FakeObjects {
    async fn remove(&self, access: &ArchiveAccess) -> Result<u64, ObjectsError> {
        let mut state = self.state();
        let failed = || Err(ObjectsError("it was made to fail".into()));
        if state.trouble == Trouble::Fails {
            return failed();
        }
        state.removed.push(access.archive_id);
        if state.trouble == Trouble::FailsAfter {
            return failed();
        }
        Ok(7)
    }
}
