use super::*;
use crate::metering::record::tests::sample;
use time::Duration;

fn id(raw: u128) -> IncarnationId {
    sample(raw, 0, 0).incarnation_id
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
}

fn reading(requests: u64) -> Reading {
    Reading {
        counters: UsageCounters {
            requests,
            ..UsageCounters::default()
        },
        gauges: UsageGauges::default(),
    }
}

fn seen(spool: &Spool) -> Vec<(u64, u64)> {
    spool.outbox.rewind();
    let batch = spool.outbox.batch();
    batch
        .iter()
        .map(|sample| (sample.sequence, sample.counters.requests))
        .collect()
}

#[test]
fn nothing_is_sealed_while_nothing_changes_but_once_a_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(folder.path(), id(1)).expect("opens");
    for (requests, seconds) in [(0, 0), (0, 30), (5, 31), (5, 59), (5, 95)] {
        spool
            .seal(reading(requests), false, at(seconds))
            .expect("seals");
        spool.outbox.batch();
    }
    assert_eq!(seen(&spool), [(1, 0), (2, 5), (3, 5)]);
}

#[test]
fn samples_of_an_earlier_incarnation_survive_a_kill_and_come_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut killed = Spool::open(folder.path(), id(1)).expect("opens");
    killed.seal(reading(7), false, at(0)).expect("seals");
    drop(killed);
    let mut spool = Spool::open(folder.path(), id(2)).expect("opens");
    spool.seal(reading(1), false, at(9)).expect("seals");
    let batch = spool.outbox.batch();
    let order: Vec<_> = batch.iter().map(|sample| sample.incarnation_id).collect();
    assert_eq!(order, [id(1), id(2)]);
    spool.acknowledge(id(1), 1).expect("acknowledges");
    drop(spool);
    let spool = Spool::open(folder.path(), id(3)).expect("opens");
    assert_eq!(
        seen(&spool),
        [(1, 1)],
        "only the second incarnation's is left"
    );
}

#[test]
fn a_spool_cut_at_any_byte_gives_back_a_reading_that_was_sealed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(folder.path(), id(1)).expect("opens");
    for requests in 1..=4 {
        spool.seal(reading(requests), false, at(0)).expect("seals");
    }
    let path = file_path(folder.path(), id(1), 1);
    let whole = std::fs::read(&path).expect("reads");
    drop(spool);
    let mut before = 0;
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("writes");
        let spool = Spool::open(folder.path(), id(2)).expect("opens");
        let requests = seen(&spool).first().map_or(0, |(_, requests)| *requests);
        assert!(requests >= before && requests <= 4, "cut at {cut}");
        before = requests;
    }
    assert_eq!(before, 4);
}

#[test]
fn with_the_parent_away_a_long_time_of_sealing_stays_small_and_complete_to_the_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(folder.path(), id(1)).expect("opens");
    for requests in 1..=2000 {
        let second = i64::try_from(requests).expect("small") * 5;
        spool
            .seal(reading(requests), false, at(second))
            .expect("seals");
    }
    assert_eq!(spool.outbox.len(), 167);
    assert!(spool.file_bytes < 2 * FILE_BYTES_COMFORTABLE);
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1);
    drop(spool);
    let spool = Spool::open(folder.path(), id(2)).expect("opens");
    let newest = spool.outbox.samples_of(id(1)).pop().expect("one");
    assert_eq!((newest.counters.requests, newest.sequence), (2000, 167));
}

#[test]
fn after_a_week_away_one_sample_an_hour_is_kept() {
    assert!(same_span(at(0), at(59), 0));
    assert!(!same_span(at(0), at(60), 0));
    assert!(same_span(at(0), at(3599), PENDING_SAMPLES_FINE_MAX));
    assert!(!same_span(at(0), at(3600), PENDING_SAMPLES_FINE_MAX));
}

#[test]
fn time_never_runs_backwards_within_an_incarnation() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(folder.path(), id(1)).expect("opens");
    spool.seal(reading(1), false, at(100)).expect("seals");
    spool.outbox.batch();
    spool.seal(reading(2), true, at(50)).expect("seals");
    let newest = spool.outbox.samples_of(id(1)).pop().expect("one");
    assert_eq!((newest.taken_at, newest.last), (at(100), true));
}
