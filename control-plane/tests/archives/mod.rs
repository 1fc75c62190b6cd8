//! Archives: what nodes are told of theirs, the schedule of backups, and what is kept of the answers.

mod backups;
mod keys;
mod plan;
mod restore_points;

use crate::support::{FakeRuntime, Scene, TestCloud, backup_status};
use lumadb_contract::archive::{ArchiveSpec, ArchiveStatus, BackupState, Lsn};
use lumadb_contract::id::{BackupId, DatabaseId};
use std::sync::Arc;

/// A database's archive as the runtime was told of it, once `is_so`.
async fn told_that(
    cloud: &TestCloud,
    runtime: &Arc<FakeRuntime>,
    id: DatabaseId,
    is_so: impl Fn(&ArchiveSpec) -> bool,
) -> ArchiveSpec {
    let spec = || async {
        runtime
            .instance(id)?
            .spec
            .archive
            .filter(|spec| is_so(spec))
    };
    cloud.until(spec).await
}

fn asks_for_backup(spec: &ArchiveSpec) -> bool {
    spec.backups.len() == 1
}

fn asks_for_none(spec: &ArchiveSpec) -> bool {
    spec.backups.is_empty()
}

impl Scene {
    async fn told_that(&self, is_so: impl Fn(&ArchiveSpec) -> bool) -> ArchiveSpec {
        told_that(&self.cloud, &self.runtime, self.shop, is_so).await
    }

    /// Its node says something new of its archive.
    fn archive_says(&self, say: impl FnOnce(&mut ArchiveStatus)) {
        self.runtime.report(self.shop, |status| {
            say(status.archive.get_or_insert_with(ArchiveStatus::default));
        });
    }

    /// Ends the backup that the node was asked for.
    fn end_backup(&self, spec: &ArchiveSpec, state: BackupState) -> BackupId {
        let (backup, at) = (spec.backups[0].backup_id, self.cloud.clock.now());
        self.archive_says(|archive| {
            archive.archive_id = Some(spec.access.archive_id);
            archive
                .backups
                .push(backup_status(backup, state, at, Lsn(0x0200_0000)));
        });
        backup
    }
}
