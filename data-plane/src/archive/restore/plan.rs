//! What a restore starts from and how far it replays. Pure.
//!
//! A *path* is a timeline and its ancestors, each up to where the next left it. A base backup can be
//! used if it lies on the path and if the WAL of the path is in the archive without a hole from its
//! start up to what was asked for. Of those the last is taken, by its position in the WAL. Where a
//! moment was asked for, the clock is read as PostgreSQL will read it while it replays: the first
//! thing that is later ends it, even if something behind is earlier again.

use super::refusal::Refusal;
use crate::archive::backup::{BackupEntry, Catalogue};
use crate::archive::layout::Timeline;
use lumadb_contract::archive::{Lsn, RestoreTarget, RestoreWindow};
use lumadb_contract::id::BackupId;
use std::collections::BTreeMap;

/// WAL that is in an archive.
#[derive(Debug, Clone, Default)]
pub struct ArchivedWal {
    /// Of each timeline: from, up to. In order; between two is a hole.
    pub ranges: BTreeMap<Timeline, Vec<(Lsn, Lsn)>>,
    /// Of each timeline with a history file: its ancestors, oldest first.
    pub ancestors: BTreeMap<Timeline, Vec<Ancestor>>,
}

/// A timeline that another came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    pub timeline: Timeline,
    /// It was left here.
    pub until: Lsn,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub target: RestoreTarget,
    /// `None`: the newest.
    pub timeline: Option<Timeline>,
    /// Backups that were found to be damaged.
    pub damaged: Vec<BackupId>,
}

/// How it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The full backup, then the incremental ones up to the base.
    pub chain: Vec<BackupId>,
    pub target: RestoreTarget,
    pub timeline: Timeline,
    pub start_lsn: Lsn,
    /// WAL is there without a hole up to here.
    pub wal_until: Lsn,
    /// Nothing is known to lie behind that.
    pub reaches_end: bool,
    pub wal_segment_bytes: u64,
    pub bytes: u64,
}

/// Parses a timeline history file: lines of timeline, position and reason.
pub fn history_parse(text: &str) -> Option<Vec<Ancestor>> {
    let mut ancestors = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let mut words = line.split_whitespace();
        ancestors.push(Ancestor {
            timeline: words.next()?.parse().ok()?,
            until: words.next()?.parse().ok()?,
        });
    }
    Some(ancestors)
}

/// One timeline of a path.
#[derive(Debug, Clone, Copy)]
struct Step {
    timeline: Timeline,
    /// `None`: the last one.
    until: Option<Lsn>,
}

struct Path<'wal> {
    steps: Vec<Step>,
    wal: &'wal ArchivedWal,
}

/// How far WAL is there without a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    until: Lsn,
    is_end: bool,
}

impl<'wal> Path<'wal> {
    fn new(wal: &'wal ArchivedWal, timeline: Timeline) -> Result<Self, Refusal> {
        let ancestors = match wal.ancestors.get(&timeline) {
            Some(ancestors) => ancestors.as_slice(),
            None if timeline == 1 => &[],
            None => return Err(Refusal::NoHistory { timeline }),
        };
        let left = ancestors.iter().map(|ancestor| Step {
            timeline: ancestor.timeline,
            until: Some(ancestor.until),
        });
        let last = Step {
            timeline,
            until: None,
        };
        let steps = left.chain([last]).collect();
        Ok(Self { steps, wal })
    }

    fn holds(&self, entry: &BackupEntry) -> bool {
        self.steps.iter().any(|step| {
            step.timeline == entry.timeline && step.until.is_none_or(|until| entry.end_lsn <= until)
        })
    }

    /// From the start of a backup on.
    fn reach(&self, entry: &BackupEntry) -> Reach {
        let mut at = entry.start_lsn;
        let steps = self.steps.iter();
        for step in steps.skip_while(|step| step.timeline != entry.timeline) {
            let ranges = self.wal.ranges.get(&step.timeline);
            let ranges = ranges.map(Vec::as_slice).unwrap_or_default();
            // A step that was left where it began needs no WAL of its own.
            if step.until.is_some_and(|until| until <= at) {
                continue;
            }
            let within = ranges
                .iter()
                .find(|(from, until)| *from <= at && at < *until);
            let Some((_, until)) = within else {
                let later = ranges.iter().any(|(_, until)| *until > at);
                let is_end = step.until.is_none() && !later;
                return Reach { until: at, is_end };
            };
            let segment_bytes = entry.wal_segment_bytes;
            match step.until {
                Some(left) if left <= *until || is_padded(*until, left, segment_bytes) => at = left,
                Some(_) => {
                    let (until, is_end) = (*until, false);
                    return Reach { until, is_end };
                }
                None => {
                    let is_end = !ranges.iter().any(|(from, _)| from > until);
                    let until = *until;
                    return Reach { until, is_end };
                }
            }
        }
        Reach {
            until: at,
            is_end: true,
        }
    }
}

/// Whether what lacks of a timeline up to where it was left is nothing but the zeros that fill the
/// rest of a segment. Timelines are left by restores alone, which replay nothing that is not in the
/// archive: one that was left at the end of a segment whose last bytes are not there was left behind
/// a switch of segments.
fn is_padded(until: Lsn, left: Lsn, segment_bytes: u64) -> bool {
    let lacks = left.0.saturating_sub(until.0);
    left.0.checked_rem(segment_bytes) == Some(0) && lacks < segment_bytes
}

/// The last timeline that anything is known of.
fn newest_timeline(catalogue: &Catalogue, wal: &ArchivedWal) -> Timeline {
    let entries = catalogue.entries.iter().map(|entry| entry.timeline);
    let ranges = wal.ranges.keys().copied();
    let histories = wal.ancestors.keys().copied();
    entries.chain(ranges).chain(histories).max().unwrap_or(1)
}

struct Candidate<'catalogue> {
    entry: &'catalogue BackupEntry,
    chain: Vec<&'catalogue BackupEntry>,
    reach: Reach,
}

/// Backups of the path that can be used, in order.
fn candidates<'catalogue>(
    catalogue: &'catalogue Catalogue,
    path: &Path<'_>,
    damaged: &[BackupId],
) -> Vec<Candidate<'catalogue>> {
    let sound = |entry: &BackupEntry| !damaged.contains(&entry.backup_id);
    let own = catalogue.entries.iter().filter(|entry| path.holds(entry));
    own.filter_map(|entry| {
        let chain = catalogue.chain(entry.backup_id)?;
        let reach = path.reach(entry);
        let usable = chain.iter().all(|entry| sound(entry)) && reach.until >= entry.end_lsn;
        usable.then_some(Candidate {
            entry,
            chain,
            reach,
        })
    })
    .collect()
}

/// Moments of the newest timeline's path that can be restored to. Where a hole ends one, it is known
/// to reach up to the last backup before the hole.
pub fn restore_windows(catalogue: &Catalogue, wal: &ArchivedWal) -> Vec<RestoreWindow> {
    let Ok(path) = Path::new(wal, newest_timeline(catalogue, wal)) else {
        return Vec::new();
    };
    let candidates = candidates(catalogue, &path, &[]);
    let groups = candidates.chunk_by(|before, after| before.reach == after.reach);
    let windows = groups.filter_map(|group| {
        let (first, last) = (group.first()?, group.last()?);
        Some(RestoreWindow {
            from: first.entry.ended_at,
            until: (!first.reach.is_end).then_some(last.entry.ended_at),
            from_lsn: first.entry.end_lsn,
            timeline: first.entry.timeline,
        })
    });
    windows.collect()
}

/// Plans a restore, or says why it cannot be done.
pub fn restore_plan(
    catalogue: &Catalogue,
    wal: &ArchivedWal,
    wish: &Wish,
) -> Result<Plan, Refusal> {
    if catalogue.entries.is_empty() && catalogue.damaged.is_empty() {
        return Err(Refusal::NoBackup);
    }
    let timeline = wish.timeline;
    let timeline = timeline.unwrap_or_else(|| newest_timeline(catalogue, wal));
    let path = Path::new(wal, timeline)?;
    let candidates = candidates(catalogue, &path, &wish.damaged);
    let Some(first) = candidates.first() else {
        let damaged = !wish.damaged.is_empty() || !catalogue.damaged.is_empty();
        return Err(if damaged {
            Refusal::Damaged
        } else {
            Refusal::NoBackup
        });
    };
    let chosen = choose(&candidates, first, &wish.target)?;
    Ok(Plan {
        chain: chosen.chain.iter().map(|entry| entry.backup_id).collect(),
        target: wish.target.clone(),
        timeline,
        start_lsn: chosen.entry.start_lsn,
        wal_until: chosen.reach.until,
        reaches_end: chosen.reach.is_end,
        wal_segment_bytes: chosen.entry.wal_segment_bytes,
        bytes: chosen.chain.iter().map(|entry| entry.bytes_read).sum(),
    })
}

fn choose<'list, 'catalogue>(
    candidates: &'list [Candidate<'catalogue>],
    first: &Candidate<'catalogue>,
    target: &RestoreTarget,
) -> Result<&'list Candidate<'catalogue>, Refusal> {
    let last = |fits: &dyn Fn(&Candidate<'_>) -> bool| {
        candidates.iter().rev().find(|candidate| fits(candidate))
    };
    let furthest = candidates.iter().map(|candidate| candidate.reach.until);
    let furthest = furthest.max().unwrap_or_default();
    match target {
        RestoreTarget::Latest => {
            last(&|candidate| candidate.reach.is_end).ok_or(Refusal::Hole { from: furthest })
        }
        RestoreTarget::Lsn(lsn) => {
            if *lsn < first.entry.end_lsn {
                return Err(Refusal::BeforeFirstPosition {
                    first: first.entry.end_lsn,
                });
            }
            last(&|candidate| candidate.entry.end_lsn <= *lsn && candidate.reach.until >= *lsn)
                .ok_or(Refusal::PositionMissing { until: furthest })
        }
        RestoreTarget::Time(moment) => {
            let steady = candidates.iter();
            let before = steady.take_while(|candidate| candidate.entry.ended_at <= *moment);
            before.last().ok_or(Refusal::BeforeFirst {
                first: first.entry.ended_at,
            })
        }
        RestoreTarget::Transaction(id) => {
            // IDs wrap: of two that are less than half the circle apart, it is known which is older.
            let began_after = |candidate: &Candidate<'_>| {
                let next = candidate.entry.transaction_next & u64::from(u32::MAX);
                let next = u32::try_from(next).unwrap_or_default();
                id.wrapping_sub(next) < 1 << 31
            };
            last(&began_after).ok_or(Refusal::BeforeFirst {
                first: first.entry.ended_at,
            })
        }
        // It may lie anywhere.
        RestoreTarget::Name(_) => candidates.first().ok_or(Refusal::NoBackup),
    }
}

#[cfg(test)]
mod tests;
