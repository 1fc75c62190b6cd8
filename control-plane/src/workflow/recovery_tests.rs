//! What comes next for a database whose content is lost.

use super::*;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-28 12:00 UTC);

fn noted(phase: RecoveryPhase, attempts: i32) -> RecoveryRow {
    let is_over = matches!(
        phase,
        RecoveryPhase::Done | RecoveryPhase::GivenUp | RecoveryPhase::FalseAlarm
    );
    serde_json::from_value(json!({
        "phase": phase,
        "noticed_at": "2026-11-28T11:00:00Z",
        "archived_until": "2026-11-28T10:59:58Z",
        "attempts": attempts,
        "is_made": false,
        "due_at": "2026-11-28T12:00:00Z",
        "operation_id": null,
        "ended_at": is_over.then_some("2026-11-28T11:59:00Z"),
    }))
    .expect("a row")
}

fn gone() -> Result<Asked, RuntimeError> {
    Err(RuntimeError::Gone("its folder is gone".into()))
}

fn seen<'a>(row: Option<&'a RecoveryRow>, asked: &'a Result<Asked, RuntimeError>) -> Seen<'a> {
    Seen {
        row,
        asked,
        archive: Ok(()),
        refusal: None,
        is_running: false,
        is_in_place: false,
        now: NOW,
    }
}

#[test]
fn only_what_is_gone_for_certain_is_noticed() {
    let absent = [
        Ok(Asked::Applied),
        Err(RuntimeError::Retry("the cluster is not reached".into())),
        Err(RuntimeError::GiveUp("its disk is not mounted".into())),
    ];
    for asked in &absent {
        assert_eq!(next(seen(None, asked)), Next::Nothing, "{asked:?}");
    }
    let gone = gone();
    assert_eq!(next(seen(None, &gone)), Next::Notice { attempts: 0 });
}

#[test]
fn it_is_looked_at_again_before_anything_is_done() {
    let row = noted(RecoveryPhase::Noticed, 0);
    let gone = gone();
    let early = Seen {
        now: NOW - Duration::SECOND,
        ..seen(Some(&row), &gone)
    };
    assert_eq!(next(early), Next::Wait);
    assert_eq!(next(seen(Some(&row), &gone)), Next::Begin);
    let back = Ok(Asked::Applied);
    assert_eq!(next(seen(Some(&row), &back)), Next::Dismiss);
    let away = Err(RuntimeError::Retry("away".into()));
    assert_eq!(next(seen(Some(&row), &away)), Next::Wait);
    let in_place = Seen {
        is_in_place: true,
        ..seen(Some(&row), &gone)
    };
    assert_eq!(next(in_place), Next::Wait);
}

#[test]
fn without_a_backup_it_is_given_up_and_told_once() {
    let gone = gone();
    let lacking = |row: &RecoveryRow| {
        next(Seen {
            archive: Err("it has no complete backup"),
            ..seen(Some(row), &gone)
        })
    };
    let why = Next::GiveUp("it has no complete backup".into());
    assert_eq!(lacking(&noted(RecoveryPhase::Noticed, 0)), why);
    let row = noted(RecoveryPhase::GivenUp, 0);
    assert_eq!(lacking(&row), Next::Nothing);
    assert_eq!(next(seen(Some(&row), &gone)), Next::Nothing);
    // Somebody mended its archive.
    let later = Seen {
        now: NOW + SAME_LOSS,
        ..seen(Some(&row), &gone)
    };
    assert_eq!(next(later), Next::Notice { attempts: 0 });
}

#[test]
fn what_is_left_ends_before_it_is_made_anew() {
    let row = noted(RecoveryPhase::Clearing, 1);
    for (asked, expected) in [
        (Ok(Asked::Cleared(Cleared::Gone)), Next::Restore),
        (Ok(Asked::Cleared(Cleared::Back)), Next::Dismiss),
        (
            Err(RuntimeError::Retry("it does not end".into())),
            Next::Wait,
        ),
    ] {
        assert_eq!(next(seen(Some(&row), &asked)), expected);
    }
}

#[test]
fn it_ends_when_the_database_runs() {
    let row = noted(RecoveryPhase::Restoring, 1);
    let applied = Ok(Asked::Applied);
    assert_eq!(next(seen(Some(&row), &applied)), Next::Wait);
    let runs = Seen {
        is_running: true,
        ..seen(Some(&row), &applied)
    };
    assert_eq!(next(runs), Next::Finish);
}

#[test]
fn what_fails_is_tried_again_some_times_after_growing_pauses() {
    let applied = Ok(Asked::Applied);
    let refused = |row: &RecoveryRow| {
        next(Seen {
            refusal: Some("damaged"),
            ..seen(Some(row), &applied)
        })
    };
    for attempts in 1..ATTEMPTS_MAX {
        let why = "damaged".to_owned();
        let again = Next::Retry { attempts, why };
        assert_eq!(refused(&noted(RecoveryPhase::Restoring, attempts)), again);
        assert!(pause(attempts) > pause(attempts - 1));
    }
    let last = noted(RecoveryPhase::Restoring, ATTEMPTS_MAX);
    assert_eq!(refused(&last), Next::GiveUp("damaged".into()));
    let row = noted(RecoveryPhase::Waiting, 2);
    assert_eq!(next(seen(Some(&row), &applied)), Next::Begin);
    let early = Seen {
        now: NOW - Duration::SECOND,
        ..seen(Some(&row), &applied)
    };
    assert_eq!(next(early), Next::Wait);
}

#[test]
fn what_is_lost_again_at_once_is_the_same_loss() {
    let gone = gone();
    let row = noted(RecoveryPhase::Done, 3);
    assert_eq!(next(seen(Some(&row), &gone)), Next::Notice { attempts: 3 });
    let later = Seen {
        now: NOW + SAME_LOSS,
        ..seen(Some(&row), &gone)
    };
    assert_eq!(next(later), Next::Notice { attempts: 0 });
    let row = noted(RecoveryPhase::Noticed, ATTEMPTS_MAX);
    assert!(matches!(next(seen(Some(&row), &gone)), Next::GiveUp(_)));
}
