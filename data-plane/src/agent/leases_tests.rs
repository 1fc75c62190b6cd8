use super::*;
use lumadb_contract::allowance::StorageAllowance;
use time::macros::datetime;
use uuid::Uuid;

const NOON: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);
const MIDNIGHT: OffsetDateTime = datetime!(2026-11-28 00:00 UTC);

fn id() -> IncarnationId {
    IncarnationId::from_uuid(Uuid::from_u128(1))
}

fn at(seconds: u64, requests: u64) -> Now {
    Now {
        at: Duration::from_secs(seconds),
        wall: NOON + Duration::from_secs(seconds),
        counters: UsageCounters {
            requests,
            ..UsageCounters::default()
        },
        storage_bytes: Some(100),
    }
}

fn answer(number: u64, ceiling: u64) -> Allowance {
    Allowance {
        number,
        incarnation_id: id(),
        meters: vec![MeterAllowance {
            meter: Meter::Requests,
            ceiling,
            limit: 100_000,
            is_used_up: false,
            is_scarce: false,
            resets_at: MIDNIGHT,
        }],
        storage: Some(StorageAllowance {
            ceiling_bytes: 1000,
            limit_bytes: 1_000_000_000,
        }),
        read_only: None,
        upgrade_url: "https://example.com".into(),
        renew_after_seconds: 15,
    }
}

fn leases() -> Leases {
    Leases::new(id(), WriteLimit::default())
}

#[test]
fn without_any_answer_there_is_no_limit() {
    let mut leases = leases();
    leases.ask(&at(0, 0));
    let much = at(100_000, u64::MAX - 1);
    assert_eq!(leases.standing(&much).ceilings, Ceilings::NONE);
    assert_eq!(leases.standing(&much).refusal, None);
}

#[test]
fn counting_stops_at_the_ceiling_and_is_refused_once_all_is_used() {
    let mut leases = leases();
    leases.ask(&at(0, 0));
    leases.answered(answer(1, 50), &at(0, 0));
    assert_eq!(leases.standing(&at(1, 49)).ceilings.requests, 50);
    // It waits first: others may hold the rest.
    let full = leases.standing(&at(1, 50));
    assert_eq!((full.ceilings.requests, full.refusal), (50, None));
    leases.waited_for(&at(1, 50));
    let request = leases.ask(&at(1, 50));
    assert_eq!(
        (request.meters[0].counted, request.meters[0].held),
        (50, 50)
    );
    let mut last = answer(2, 50);
    last.meters[0].is_used_up = true;
    leases.answered(last, &at(1, 50));
    let refusal = leases.standing(&at(2, 50)).refusal.expect("refused");
    assert_eq!(refusal.message, "quota exceeded: requests, 100,000 a day");
    assert!(
        refusal.detail.contains("2026-11-28 00:00 UTC"),
        "{refusal:?}"
    );
    // The next day asks anew.
    let mut next = at(2, 50);
    next.wall = MIDNIGHT;
    assert_eq!(leases.standing(&next).refusal, None);
    assert!(leases.ask_at(&next) <= next.at);
}

#[test]
fn room_that_others_hold_is_not_waited_for_for_ever() {
    let mut leases = leases();
    leases.ask(&at(0, 0));
    leases.answered(answer(1, 0), &at(0, 0));
    leases.waited_for(&at(1, 0));
    assert_eq!(leases.standing(&at(2, 0)).refusal, None);
    for second in 2..8 {
        leases.ask(&at(second, 0));
        leases.answered(answer(second, 0), &at(second, 0));
    }
    assert!(leases.standing(&at(8, 0)).refusal.is_some());
}

#[test]
fn scarce_room_is_given_back_by_who_idles_and_binding_at_once() {
    let mut leases = leases();
    leases.ask(&at(0, 5));
    let mut scarce = answer(1, 50);
    scarce.meters[0].is_scarce = true;
    leases.answered(scarce, &at(0, 5));
    leases.observe(&at(0, 5));
    assert_eq!(leases.ask_at(&at(0, 5)), IDLE);
    let request = leases.ask(&at(1, 5));
    assert_eq!(
        (request.meters[0].held, request.meters[0].wants_more),
        (5, false)
    );
    assert_eq!(leases.standing(&at(1, 5)).ceilings.requests, 5);
    // An answer to the first question that comes late does not bring it back.
    leases.answered(answer(1, 50), &at(1, 5));
    assert_eq!(leases.standing(&at(1, 5)).ceilings.requests, 5);
    // Where there is plenty, a part of the limit is kept.
    let mut plenty = Leases::new(id(), WriteLimit::default());
    plenty.ask(&at(0, 5));
    plenty.answered(answer(1, 5000), &at(0, 5));
    plenty.observe(&at(0, 5));
    assert_eq!(plenty.ask(&at(1, 5)).meters[0].held, 105);
    plenty.answered(answer(2, 105), &at(1, 5));
    assert_eq!(plenty.ask_at(&at(3, 5)), Duration::from_secs(16));
}

#[test]
fn while_nobody_answers_everything_goes_on_for_the_grace_and_no_longer() {
    let mut leases = leases();
    leases.ask(&at(0, 0));
    leases.answered(answer(1, 50), &at(0, 0));
    leases.ask(&at(20, 50));
    assert_eq!(leases.standing(&at(21, 50)).ceilings.requests, u64::MAX);
    let late = GRACE_SECONDS - 1;
    leases.ask(&at(late, 9000));
    assert_eq!(leases.standing(&at(late, 9000)).ceilings.requests, u64::MAX);
    let over = leases.standing(&at(GRACE_SECONDS, 9000));
    assert!(over.refusal.expect("refused").message.contains("confirmed"));
    leases.answered(answer(3, 20_000), &at(GRACE_SECONDS + 1, 9000));
    let back = leases.standing(&at(GRACE_SECONDS + 2, 9000));
    assert_eq!((back.ceilings.requests, back.refusal), (20_000, None));
}

#[test]
fn a_lease_ends_and_is_asked_for_again_before() {
    let mut leases = leases();
    leases.ask(&at(0, 0));
    leases.answered(answer(1, 50), &at(0, 0));
    assert_eq!(leases.ask_at(&at(1, 0)), Duration::from_secs(15));
    assert_eq!(
        leases.ask_at(&at(1, 30)),
        ASK_AGAIN,
        "more than half is used"
    );
    assert_eq!(leases.standing(&at(LEASE_SECONDS, 7)).ceilings.requests, 7);
}

#[test]
fn the_storage_limit_and_the_cap_say_what_may_be_written() {
    let mut leases = leases();
    leases.ask(&at(0, 0));
    leases.answered(answer(1, 50), &at(0, 0));
    let stored = |bytes| Now {
        storage_bytes: Some(bytes),
        ..at(1, 0)
    };
    assert_eq!(leases.standing(&stored(999)).writes, WriteLimit::default());
    let full = leases.standing(&stored(1000)).writes;
    assert_eq!(full.stage, WriteStage::NoGrowth);
    assert!(full.detail.contains("1 GB"), "{full:?}");
    assert_eq!(leases.ask_at(&stored(1000)), STORAGE_PAUSE);
    leases.ask(&at(2, 0));
    let mut capped = answer(2, 50);
    capped.read_only = Some("The cap is used.".into());
    leases.answered(capped, &at(2, 0));
    let writes = leases.standing(&stored(1000)).writes;
    assert_eq!(writes.stage, WriteStage::ReadOnly);
    assert_eq!(writes.detail, "The cap is used.");
}

#[test]
fn amounts_are_written_as_people_do() {
    assert_eq!(grouped(1_000_000), "1,000,000");
    assert_eq!(grouped(12), "12");
    assert_eq!(bytes(1_500_000_000), "1.5 GB");
    assert_eq!(bytes(64_000_000), "64 MB");
}
