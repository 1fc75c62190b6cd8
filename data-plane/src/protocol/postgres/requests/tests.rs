use super::*;
use proptest::prelude::*;

/// Feeds a conversation: `>` is what the client sends, `<` what the engine answers.
fn count(conversation: &str) -> (u64, u64) {
    let mut tracker = RequestTracker::default();
    let (mut requests, mut errors) = (0, 0);
    let mut from_client = true;
    for symbol in conversation.chars() {
        match symbol {
            '>' => from_client = true,
            '<' => from_client = false,
            ' ' => {}
            letter if from_client => tracker.sent(letter as u8),
            letter => {
                let counted = tracker.answered(letter as u8, b'I');
                requests += counted.requests;
                errors += counted.errors;
            }
        }
    }
    (requests, errors)
}

#[test]
fn each_command_of_a_simple_query_is_a_request() {
    assert_eq!(count(">Q <TDCTDCTDCZ"), (3, 0));
    assert_eq!(count(">Q <IZ"), (1, 0));
    assert_eq!(count(">Q <TDC E Z"), (2, 1));
}

#[test]
fn letters_mean_different_things_in_each_direction() {
    // Describe and Close of the client are DataRow and CommandComplete of the engine.
    assert_eq!(count(">PDCS <1tn3Z"), (0, 0));
    // Execute of the client is ErrorResponse of the engine; ParameterStatus is no Sync.
    assert_eq!(count(">PBES <12SSCZ"), (1, 0));
}

#[test]
fn a_copy_is_one_request_however_long() {
    assert_eq!(count(">Q <G >ddddddddc <CZ"), (1, 0));
    assert_eq!(count(">Q <HddddddcCZ"), (1, 0));
    assert_eq!(count(">Q <G >ddf <EZ >Q <CZ"), (2, 1));
}

#[test]
fn errors_of_parse_and_bind_are_no_requests() {
    assert_eq!(count(">PBDES <EZ"), (0, 0));
    assert_eq!(count(">PBDES <1EZ"), (0, 0));
    assert_eq!(count(">PBDES <12TEZ"), (1, 1));
    assert_eq!(count(">PBES PBES <EZ 12CZ"), (1, 0));
}

#[test]
fn an_error_skips_to_the_next_sync() {
    // The engine discards the second batch's start, sent before and after it fails.
    assert_eq!(count(">PBEBE <12 E >BEBE S <Z >BES <2CZ"), (2, 1));
    assert_eq!(count(">PBE PBE S Q <1 E Z TDCZ"), (1, 0));
}

#[test]
fn a_portal_is_suspended_and_goes_on() {
    assert_eq!(count(">PBEEES <12DsDsDCZ"), (3, 0));
}

#[test]
fn a_function_call_is_a_request() {
    assert_eq!(count(">F <VZ"), (1, 0));
    assert_eq!(count(">F <EZ"), (1, 1));
}

#[test]
fn a_farewell_and_a_notice_are_no_requests() {
    assert_eq!(count("<E"), (0, 0));
    assert_eq!(count(">Q <CZ NA E"), (1, 0));
}

#[test]
fn syncs_that_the_engine_ignores_during_copy_are_ignored_here() {
    // libpq sends Sync with Execute, and another one after the data.
    assert_eq!(count(">PBES <12G >dddcS <CZ >PBES <EZ >Q <CZ"), (2, 0));
    // The whole exchange sent before the first answer.
    assert_eq!(count(">PBES dddcS Q <12GCZ EZ"), (2, 1));
    // The data is refused: the Sync before it was eaten by COPY.
    assert_eq!(count(">PBES <12G >dd <E >dcS <Z >Q <CZ"), (2, 1));
}

#[test]
fn a_client_that_floods_with_unanswered_messages_costs_no_memory() {
    let mut tracker = RequestTracker::default();
    for _ in 0..1_000_000 {
        for letter in *b"cfHdX" {
            tracker.sent(letter);
        }
    }
    assert_eq!(tracker.outstanding(), 0);
    tracker.sent(b'P');
    tracker.answered(b'E', 0);
    for _ in 0..1_000_000 {
        for letter in *b"PBDECQF" {
            tracker.sent(letter);
        }
    }
    assert_eq!(tracker.outstanding(), 0);
    assert!(!tracker.is_idle());
}

#[test]
fn a_session_is_idle_between_commands_outside_of_transactions() {
    let mut tracker = RequestTracker::default();
    assert!(tracker.is_idle());
    tracker.sent(b'Q');
    assert!(!tracker.is_idle());
    tracker.answered(b'C', 0);
    tracker.answered(b'Z', b'T');
    assert!(!tracker.is_idle());
    assert_eq!(tracker.transaction(), Transaction::Open);
    tracker.sent(b'Q');
    tracker.answered(b'C', 0);
    tracker.answered(b'Z', b'I');
    assert!(tracker.is_idle());
}

/// One command of a client, and how the engine takes it.
#[derive(Debug, Clone)]
enum Step {
    /// A simple query: how many statements succeed, and whether one more fails.
    Query {
        succeed: u8,
        fails: bool,
    },
    /// A message of the extended protocol: its letter and whether it fails.
    Extended {
        letter: u8,
        fails: bool,
    },
    /// COPY FROM STDIN by Execute: pieces of data, and whether one is refused.
    Copy {
        pieces: u8,
        fails: bool,
    },
    Call {
        fails: bool,
    },
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    let letter = prop::sample::select(b"PBDCE".to_vec());
    prop_oneof![
        (0_u8..4, any::<bool>()).prop_map(|(succeed, fails)| Step::Query { succeed, fails }),
        (letter, prop::bool::weighted(0.2))
            .prop_map(|(letter, fails)| Step::Extended { letter, fails }),
        (0_u8..4, any::<bool>()).prop_map(|(pieces, fails)| Step::Copy { pieces, fails }),
        any::<bool>().prop_map(|fails| Step::Call { fails }),
        Just(Step::Sync),
    ]
}

/// An engine that obeys the protocol's description: what it answers, and what that counts.
#[derive(Default)]
struct Engine {
    skipping: bool,
    requests: u64,
    errors: u64,
}

impl Engine {
    fn take(&mut self, step: &Step) -> (Vec<u8>, Vec<u8>) {
        let sent = match step {
            Step::Query { .. } => b"Q".to_vec(),
            Step::Extended { letter, .. } => vec![*letter],
            Step::Copy { pieces, .. } => [
                b"E".to_vec(),
                vec![b'd'; usize::from(*pieces)],
                b"c".to_vec(),
            ]
            .concat(),
            Step::Call { .. } => b"F".to_vec(),
            Step::Sync => b"S".to_vec(),
        };
        if matches!(step, Step::Sync) {
            self.skipping = false;
            return (sent, b"Z".to_vec());
        }
        if self.skipping {
            return (sent, Vec::new());
        }
        let answered = match step {
            Step::Query { succeed, fails } => {
                self.requests += u64::from(*succeed) + u64::from(*fails);
                self.errors += u64::from(*fails);
                let mut answers = b"TDDC".repeat(usize::from(*succeed));
                answers.extend(if *fails { &b"EZ"[..] } else { &b"Z"[..] });
                answers
            }
            Step::Call { fails } => {
                self.requests += 1;
                self.errors += u64::from(*fails);
                if *fails {
                    b"EZ".to_vec()
                } else {
                    b"VZ".to_vec()
                }
            }
            Step::Copy { fails, .. } => {
                self.requests += 1;
                self.errors += u64::from(*fails);
                self.skipping = *fails;
                if *fails {
                    b"GE".to_vec()
                } else {
                    b"GC".to_vec()
                }
            }
            Step::Extended {
                letter,
                fails: true,
            } => {
                let request = u64::from(*letter == b'E');
                self.requests += request;
                self.errors += request;
                self.skipping = true;
                b"E".to_vec()
            }
            Step::Extended { letter, .. } => match letter {
                b'P' => b"1".to_vec(),
                b'B' => b"2".to_vec(),
                b'D' => b"tT".to_vec(),
                b'C' => b"3".to_vec(),
                _ => {
                    self.requests += 1;
                    b"DDC".to_vec()
                }
            },
            Step::Sync => Vec::new(),
        };
        (sent, answered)
    }
}

proptest! {
    #[test]
    fn the_count_is_exact_however_far_the_answers_lag_behind(
        steps in prop::collection::vec(step(), 1..60),
        lags in prop::collection::vec(0_usize..20, 60),
    ) {
        let mut engine = Engine::default();
        let mut tracker = RequestTracker::default();
        let mut late: VecDeque<u8> = VecDeque::new();
        let (mut requests, mut errors) = (0, 0);
        let mut answer = |tracker: &mut RequestTracker, letter: u8| {
            let counted = tracker.answered(letter, b'I');
            requests += counted.requests;
            errors += counted.errors;
        };
        for (step, lag) in steps.iter().chain([&Step::Sync]).zip(lags.iter().chain([&0]).cycle()) {
            let (sent, answered) = engine.take(step);
            for letter in sent {
                tracker.sent(letter);
            }
            late.extend(answered);
            while late.len() > *lag {
                let letter = late.pop_front().expect("not empty");
                answer(&mut tracker, letter);
            }
        }
        while let Some(letter) = late.pop_front() {
            answer(&mut tracker, letter);
        }
        prop_assert_eq!((requests, errors), (engine.requests, engine.errors));
        prop_assert_eq!(tracker.outstanding(), 0);
        prop_assert!(tracker.is_idle());
    }

    #[test]
    fn no_sequence_of_letters_confuses_it_for_ever(
        noise in prop::collection::vec((any::<bool>(), any::<u8>()), 0..300),
    ) {
        let mut tracker = RequestTracker::default();
        for (from_client, letter) in noise {
            if from_client { tracker.sent(letter) } else { tracker.answered(letter, 0); }
        }
        // A Sync and as many ReadyForQuery as it takes end every confusion.
        tracker.sent(b'c');
        tracker.sent(b'S');
        while tracker.outstanding() > 0 {
            tracker.answered(b'Z', b'I');
        }
        tracker.sent(b'Q');
        let counted = tracker.answered(b'C', 0);
        prop_assert_eq!(counted, Counted { requests: 1, errors: 0 });
    }
}
