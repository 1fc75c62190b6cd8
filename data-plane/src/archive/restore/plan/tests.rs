use super::*;
use crate::archive::backup::samples::{at, backup, id};
use lumadb_contract::archive::BackupKind;

fn wal(ranges: &[(Timeline, u64, u64)], forks: &[(Timeline, Timeline, u64)]) -> ArchivedWal {
    let mut wal = ArchivedWal::default();
    for (timeline, from, until) in ranges {
        let list = wal.ranges.entry(*timeline).or_default();
        list.push((Lsn(*from), Lsn(*until)));
    }
    for (timeline, parent, until) in forks {
        let mut ancestors = wal.ancestors.get(parent).cloned().unwrap_or_default();
        ancestors.push(Ancestor {
            timeline: *parent,
            until: Lsn(*until),
        });
        wal.ancestors.insert(*timeline, ancestors);
    }
    wal
}

fn plan(
    entries: &[BackupEntry],
    wal: &ArchivedWal,
    target: RestoreTarget,
) -> Result<Plan, Refusal> {
    planned(entries, wal, target, None, &[])
}

fn planned(
    entries: &[BackupEntry],
    wal: &ArchivedWal,
    target: RestoreTarget,
    timeline: Option<Timeline>,
    damaged: &[BackupId],
) -> Result<Plan, Refusal> {
    let catalogue = Catalogue {
        entries: entries.to_vec(),
        damaged: Vec::new(),
    };
    let wish = Wish {
        target,
        timeline,
        damaged: damaged.to_vec(),
    };
    restore_plan(&catalogue, wal, &wish)
}

fn base(plan: Result<Plan, Refusal>) -> BackupId {
    *plan.expect("a plan").chain.last().expect("a base")
}

fn three() -> Vec<BackupEntry> {
    vec![backup(1, 1, 100), backup(2, 1, 200), backup(3, 1, 300)]
}

#[test]
fn the_last_backup_before_the_target_is_the_base() {
    let entries = three();
    let wal = wal(&[(1, 90, 400)], &[]);
    let latest = plan(&entries, &wal, RestoreTarget::Latest).expect("a plan");
    assert_eq!(latest.chain, [id(3)]);
    assert_eq!((latest.wal_until, latest.reaches_end), (Lsn(400), true));
    for (target, expected) in [
        (RestoreTarget::Lsn(Lsn(309)), 2),
        (RestoreTarget::Lsn(Lsn(310)), 3),
        (RestoreTarget::Lsn(Lsn(400)), 3),
        (RestoreTarget::Time(at(309)), 2),
        (RestoreTarget::Time(at(9999)), 3),
        (RestoreTarget::Transaction(250), 2),
        (RestoreTarget::Transaction(300), 3),
        (RestoreTarget::Name("anywhere".to_owned()), 1),
    ] {
        assert_eq!(
            base(plan(&entries, &wal, target.clone())),
            id(expected),
            "{target:?}"
        );
    }
}

#[test]
fn what_lies_outside_is_refused_with_its_limit() {
    let entries = three();
    let wal = wal(&[(1, 90, 400)], &[]);
    let refused = |target| plan(&entries, &wal, target).expect_err("refused");
    assert_eq!(
        refused(RestoreTarget::Lsn(Lsn(109))),
        Refusal::BeforeFirstPosition { first: Lsn(110) }
    );
    assert_eq!(
        refused(RestoreTarget::Lsn(Lsn(401))),
        Refusal::PositionMissing { until: Lsn(400) }
    );
    let early = refused(RestoreTarget::Time(at(109)));
    assert_eq!(early, Refusal::BeforeFirst { first: at(110) });
    assert_eq!(
        early.to_string(),
        "The oldest backup is of 1970-01-01 00:01:50 UTC: nothing before that can be restored."
    );
    let none = plan(&[], &wal, RestoreTarget::Latest);
    assert_eq!(none, Err(Refusal::NoBackup));
}

#[test]
fn the_zeros_behind_a_switch_of_segments_are_no_hole() {
    let segment: u32 = 16 << 20;
    let windows = |end: u32, left: u32| {
        let entries = vec![backup(1, 1, 100), backup(2, 2, left + 500)];
        let (end, left) = (u64::from(end), u64::from(left));
        let wal = wal(&[(1, 90, end), (2, left, left + 900)], &[(2, 1, left)]);
        let catalogue = Catalogue {
            entries,
            damaged: Vec::new(),
        };
        restore_windows(&catalogue, &wal).len()
    };
    assert_eq!(windows(segment, segment), 1);
    assert_eq!(windows(400, segment), 1);
    // There were records behind it.
    assert_eq!(windows(400, 500), 2);
    assert_eq!(windows(400, 2 * segment), 2);
}

#[test]
fn a_hole_is_never_replayed_over() {
    let entries = three();
    // Between 250 and 290 nothing was archived.
    let holed = wal(&[(1, 90, 250), (1, 290, 400)], &[]);
    assert_eq!(base(plan(&entries, &holed, RestoreTarget::Latest)), id(3));
    assert_eq!(
        base(plan(&entries, &holed, RestoreTarget::Lsn(Lsn(240)))),
        id(2)
    );
    let within = plan(&entries, &holed, RestoreTarget::Lsn(Lsn(270)));
    assert!(
        matches!(within, Err(Refusal::PositionMissing { .. })),
        "{within:?}"
    );
    let moment = plan(&entries, &holed, RestoreTarget::Time(at(270))).expect("a plan");
    assert_eq!(moment.chain, [id(2)]);
    // Replaying must meet something later, or it is not known to be complete.
    assert_eq!((moment.wal_until, moment.reaches_end), (Lsn(250), false));
    let behind = wal(&[(1, 90, 350), (1, 390, 400)], &[]);
    let latest = plan(&entries, &behind, RestoreTarget::Latest);
    assert_eq!(latest, Err(Refusal::Hole { from: Lsn(350) }));
}

#[test]
fn a_backup_whose_own_wal_is_missing_is_no_base() {
    let entries = three();
    let wal = wal(&[(1, 90, 305)], &[]);
    assert_eq!(base(plan(&entries, &wal, RestoreTarget::Latest)), id(2));
}

#[test]
fn a_clock_that_was_set_back_does_not_choose_a_base_that_is_too_late() {
    let mut entries = three();
    // While the second ran, the clock was an hour ahead.
    entries[1].ended_at = at(210 + 3600);
    let wal = wal(&[(1, 90, 400)], &[]);
    assert_eq!(
        base(plan(&entries, &wal, RestoreTarget::Time(at(330)))),
        id(1)
    );
    assert_eq!(
        base(plan(&entries, &wal, RestoreTarget::Time(at(4000)))),
        id(3)
    );
}

#[test]
fn the_newest_timeline_is_followed_through_its_ancestors() {
    let mut entries = vec![backup(1, 1, 100), backup(2, 1, 200)];
    // Timeline 1 went on for a while after 2 left it at 190, and 3 left 2 at 290.
    let forked = wal(
        &[(1, 90, 250), (2, 180, 300), (3, 290, 400)],
        &[(2, 1, 190), (3, 2, 290)],
    );
    let latest = plan(&entries, &forked, RestoreTarget::Latest).expect("a plan");
    // The second backup is of what timeline 2 left behind.
    assert_eq!((latest.chain, latest.timeline), (vec![id(1)], 3));
    assert_eq!(latest.wal_until, Lsn(400));
    let first = planned(&entries, &forked, RestoreTarget::Latest, Some(1), &[]);
    let first = first.expect("a plan");
    assert_eq!((first.chain, first.wal_until), (vec![id(2)], Lsn(250)));
    entries.push(backup(3, 2, 220));
    assert_eq!(base(plan(&entries, &forked, RestoreTarget::Latest)), id(3));
    let unknown = planned(&entries, &forked, RestoreTarget::Latest, Some(4), &[]);
    assert_eq!(unknown, Err(Refusal::NoHistory { timeline: 4 }));
}

#[test]
fn two_forks_of_one_parent_are_kept_apart() {
    let entries = vec![backup(1, 1, 100), backup(2, 2, 200), backup(3, 3, 210)];
    let forks = wal(
        &[(1, 90, 150), (2, 150, 300), (3, 150, 400)],
        &[(2, 1, 150), (3, 1, 150)],
    );
    assert_eq!(base(plan(&entries, &forks, RestoreTarget::Latest)), id(3));
    let second = planned(&entries, &forks, RestoreTarget::Latest, Some(2), &[]);
    let second = second.expect("a plan");
    assert_eq!((second.chain, second.wal_until), (vec![id(2)], Lsn(300)));
}

#[test]
fn a_damaged_backup_and_what_builds_on_it_are_passed_over() {
    let mut entries = three();
    entries[2].kind = BackupKind::Incremental;
    entries[2].parent = Some(id(2));
    let wal = wal(&[(1, 90, 400)], &[]);
    let whole = plan(&entries, &wal, RestoreTarget::Latest).expect("a plan");
    assert_eq!((whole.chain, whole.bytes), (vec![id(2), id(3)], 10));
    let passed = planned(&entries, &wal, RestoreTarget::Latest, None, &[id(2)]);
    assert_eq!(base(passed), id(1));
    let none = planned(&entries, &wal, RestoreTarget::Latest, None, &[id(1), id(2)]);
    assert_eq!(none, Err(Refusal::Damaged));
    entries.remove(1);
    assert_eq!(base(plan(&entries, &wal, RestoreTarget::Latest)), id(1));
}

#[test]
fn transaction_ids_wrap() {
    let mut entries = three();
    entries[0].transaction_next = u64::from(u32::MAX) - 10;
    entries[1].transaction_next = (1 << 32) + 20;
    entries[2].transaction_next = (1 << 32) + 500;
    let wal = wal(&[(1, 90, 400)], &[]);
    for (id_asked, expected) in [(u32::MAX, 1), (3, 1), (20, 2), (499, 2), (600, 3)] {
        let target = RestoreTarget::Transaction(id_asked);
        assert_eq!(
            base(plan(&entries, &wal, target)),
            id(expected),
            "{id_asked}"
        );
    }
}

#[test]
fn a_history_file_is_read() {
    let text = "1\t0/3000158\tno recovery target specified\n\n# x\n2\t0/5000000\tat 2026\n";
    let ancestors = history_parse(text).expect("reads");
    assert_eq!(ancestors.len(), 2);
    assert_eq!(ancestors[1].timeline, 2);
    assert_eq!(ancestors[1].until, Lsn(0x500_0000));
    assert!(history_parse("one two").is_none());
}

#[test]
fn windows_go_from_the_first_backup_behind_a_hole_to_the_last_before_one() {
    let catalogue = Catalogue {
        entries: three(),
        damaged: Vec::new(),
    };
    let window = |from: i64, until: Option<i64>, lsn: u64| RestoreWindow {
        from: at(from),
        until: until.map(at),
        from_lsn: Lsn(lsn),
        timeline: 1,
    };
    let whole = restore_windows(&catalogue, &wal(&[(1, 90, 400)], &[]));
    assert_eq!(whole, [window(110, None, 110)]);
    let holed = restore_windows(&catalogue, &wal(&[(1, 90, 250), (1, 290, 400)], &[]));
    assert_eq!(holed, [window(110, Some(210), 110), window(310, None, 310)]);
    assert_eq!(restore_windows(&catalogue, &ArchivedWal::default()), []);
}
