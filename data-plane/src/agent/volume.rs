//! How full the volume is that an instance lies on.
//!
//! WAL that is not archived is never dropped: an object store that is away for long fills the
//! volume. Before that happens an alarm is given, then nothing new may be written, and at last
//! nobody is served; each is taken back when there is room again.
//!
//! The stage *read-only* makes new transactions read-only by default. A session that makes its own
//! read-write all the same is ended when it is seen to have written something.

use super::status::StatusBoard;
use crate::engine::{AdminError, AdminSession, InstanceDir};
use crate::errors::chain;
use lumadb_contract::instance::{InstancePhase, VolumeRoom, VolumeStage};
use nix::sys::statvfs::statvfs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Where stages begin: parts of the volume that are used, thousandths. Where others share it, so
/// many free bytes are enough for a stage not to begin: a large disk is not full because a tenth is
/// left.
const STAGES: [(VolumeStage, u64, u64); 3] = [
    (VolumeStage::Full, 950, 1 << 30),
    (VolumeStage::ReadOnly, 900, 2 << 30),
    (VolumeStage::Alarm, 700, 8 << 30),
];

/// A stage ends so far below where it began, thousandths: it shall not come and go with each file.
const BELOW: u64 = 20;

/// Between two looks, milliseconds: while there is room, and otherwise.
const LOOK_MS: (u64, u64) = (5_000, 500);

/// Sessions that write although they were told not to. Transactions that began before the setting
/// came into force may end.
const WRITERS_END: &str = "\
    select count(pg_terminate_backend(pid)) from pg_stat_activity
        where backend_type = 'client backend' and usename <> current_user
            and backend_xid is not null and xact_start > pg_conf_load_time()";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) stage: VolumeStage,
    pub(crate) bytes_total: u64,
    /// What whoever is not root may still take.
    pub(crate) bytes_free: u64,
}

impl Volume {
    fn room(&self) -> VolumeRoom {
        VolumeRoom {
            total_bytes: self.bytes_total,
            free_bytes: self.bytes_free,
        }
    }

    /// What comes after `stage` where this is found. Pure.
    fn next(stage: VolumeStage, shared: bool, bytes_total: u64, bytes_free: u64) -> Self {
        let used = bytes_total.saturating_sub(bytes_free);
        let permille = u128::from(used) * 1000 / u128::from(bytes_total.max(1));
        let begins = |(of, from, room): &(VolumeStage, u64, u64)| {
            let from = if stage >= *of { from - BELOW } else { *from };
            let enough = shared && bytes_free >= *room;
            (permille >= u128::from(from) && !enough).then_some(*of)
        };
        Self {
            stage: STAGES.iter().find_map(begins).unwrap_or_default(),
            bytes_total,
            bytes_free,
        }
    }
}

/// Whether the room is worth telling: by a hundredth of the volume another than was told last.
fn is_news(told: Option<VolumeRoom>, now: &Volume) -> bool {
    told.is_none_or(|told| {
        told.total_bytes != now.bytes_total
            || told.free_bytes.abs_diff(now.bytes_free) >= now.bytes_total / 100
    })
}

#[derive(Debug)]
pub(crate) struct VolumeWatch {
    instance: InstanceDir,
    status: StatusBoard,
    volume: watch::Sender<Volume>,
}

impl VolumeWatch {
    /// And how whoever asks learns of what it sees.
    pub(crate) fn new(
        instance: &InstanceDir,
        status: &StatusBoard,
    ) -> (Self, watch::Receiver<Volume>) {
        let (volume, seen) = watch::channel(Volume::default());
        let watch = Self {
            instance: instance.clone(),
            status: status.clone(),
            volume,
        };
        (watch, seen)
    }

    /// Looks for as long as it is polled.
    pub(crate) async fn run(self) {
        loop {
            self.look();
            let stage = self.volume.borrow().stage;
            if stage >= VolumeStage::ReadOnly
                && self.status.read().phase == InstancePhase::Ready
                && let Err(error) = self.writers_end().await
            {
                tracing::warn!(error = %chain(&error), "sessions that write were not ended");
            }
            let pause = match stage {
                VolumeStage::Ample => LOOK_MS.0,
                _ => LOOK_MS.1,
            };
            sleep(Duration::from_millis(pause)).await;
        }
    }

    fn look(&self) {
        let found = match statvfs(self.instance.root()) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the volume was not measured");
                return;
            }
        };
        let block = found.fragment_size();
        let free = found.blocks_available().saturating_mul(block);
        // Blocks that only root may take are not part of what there is.
        let kept = found.blocks_free().saturating_sub(found.blocks_available());
        let total = found.blocks().saturating_sub(kept).saturating_mul(block);
        let before = self.volume.borrow().stage;
        let now = Volume::next(before, self.is_shared(), total, free);
        self.volume.send_if_modified(|volume| {
            let changed = *volume != now;
            *volume = now;
            changed
        });
        self.status.update(|status| {
            status.volume = now.stage;
            if is_news(status.room, &now) {
                status.room = Some(now.room());
            }
        });
        if now.stage == before {
            return;
        }
        let (bytes_total, bytes_free) = (now.bytes_total, now.bytes_free);
        match now.stage {
            VolumeStage::Ample => tracing::info!(bytes_total, bytes_free, "there is room again"),
            stage => tracing::error!(?stage, bytes_total, bytes_free, "the volume fills up"),
        }
    }

    /// Whether the instance lies on a volume with others: then it is none that is mounted for it.
    fn is_shared(&self) -> bool {
        let root = self.instance.root();
        let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
        root.parent().and_then(device) == device(root)
    }

    async fn writers_end(&self) -> Result<(), AdminError> {
        let session = AdminSession::open(&self.instance).await?;
        let rows = session.rows("ending what writes", WRITERS_END).await?;
        let ended = rows.first().and_then(|row| row.get(0)).unwrap_or_default();
        if ended != "0" {
            tracing::warn!(ended, "sessions wrote to a volume that is nearly full");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VolumeStage::{Alarm, Ample, Full, ReadOnly};

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_stage_begins_at_its_part_and_ends_a_little_below() {
        let next = |stage, used| Volume::next(stage, false, GIB, GIB - GIB / 100 * used).stage;
        for (before, used, stage) in [
            (Ample, 69, Ample),
            (Ample, 71, Alarm),
            (Alarm, 69, Alarm),
            (Alarm, 67, Ample),
            (Alarm, 91, ReadOnly),
            (ReadOnly, 89, ReadOnly),
            (ReadOnly, 87, Alarm),
            (Ample, 96, Full),
            (Full, 94, Full),
            (Full, 92, ReadOnly),
            (Full, 10, Ample),
        ] {
            assert_eq!(next(before, used), stage, "{before:?} at {used} %");
        }
    }

    #[test]
    fn room_is_told_by_the_hundredth() {
        let volume = |total, free| Volume::next(Ample, false, total, free);
        let told = Some(volume(GIB, GIB / 2).room());
        assert!(is_news(None, &volume(GIB, GIB)));
        assert!(!is_news(told, &volume(GIB, GIB / 2 + 4096)));
        assert!(is_news(told, &volume(GIB, GIB / 2 - GIB / 50)));
        assert!(is_news(told, &volume(2 * GIB, GIB / 2)));
    }

    #[test]
    fn a_large_disk_that_others_share_is_not_full_while_it_has_room() {
        let next = |shared, mib: u64| Volume::next(Ample, shared, 1000 * GIB, mib << 20).stage;
        assert_eq!(next(true, 10_000), Ample);
        assert_eq!(next(true, 8_000), Alarm);
        assert_eq!(next(true, 2_000), ReadOnly);
        assert_eq!(next(true, 1_000), Full);
        assert_eq!(next(false, 10_000), Full);
        assert_eq!(Volume::next(Ample, true, 0, 0).stage, Ample);
    }
}
