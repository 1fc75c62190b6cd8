//! Holds back, between transactions, the commands for which no room is left; answers them itself
//! when the limit is used up. Pure: bytes and the tracker's state in, bytes out.
//!
//! Invariants:
//! - A transaction that was begun goes on to its end, and so does a batch of the extended protocol
//!   up to its Sync, and a COPY.
//! - What is held back is at most what was read at once: nothing more is read from a client then.
//! - A refused command is not seen by the engine and not counted. The connection stays open.

use super::frame::{InvalidLength, Scanner};
use super::requests::{RequestTracker, Transaction};
use super::wire::{self, ErrorFields, sqlstate};
use crate::metering::{Counters, QuotaRefusal};
use std::sync::Arc;

/// Shortest message, bytes: so many commands are in a piece at most.
const MESSAGE_BYTES_MIN: u64 = 5;

/// Answers that are made at once, bytes, before the client has to take them.
const ANSWERS_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug, Default)]
pub(super) struct CommandGate {
    /// Begins with a command that may not start yet.
    held: Vec<u8>,
    /// A message of a refused command has not come to its end, or its batch has not.
    refusing: bool,
    /// What comes is skipped up to the next Sync.
    in_batch: bool,
    /// Why, for as long as something is being refused, though the limit be lifted meanwhile.
    why: Option<Arc<QuotaRefusal>>,
}

/// One direction of a connection and what is known of its commands.
pub(super) struct Commands<'a> {
    pub(super) scanner: &'a mut Scanner,
    pub(super) tracker: &'a mut RequestTracker,
    pub(super) counters: &'a Counters,
}

impl CommandGate {
    /// Nothing more shall be read.
    pub(super) fn is_shut(&self) -> bool {
        !self.held.is_empty()
    }

    /// Looks at what was read and answers how much of it goes on; the rest is kept.
    pub(super) fn admit(
        &mut self,
        bytes: &[u8],
        commands: &mut Commands<'_>,
    ) -> Result<usize, InvalidLength> {
        if !self.refusing {
            let at_most = bytes.len() as u64 / MESSAGE_BYTES_MIN + 1;
            let outstanding = commands.tracker.outstanding() as u64;
            if commands.counters.room() > outstanding + at_most {
                commands.pass(bytes)?;
                return Ok(bytes.len());
            }
            let passed = commands.pass_allowed(bytes)?;
            self.held.extend_from_slice(&bytes[passed..]);
            return Ok(passed);
        }
        self.held.extend_from_slice(bytes);
        Ok(0)
    }

    /// Whether [`Self::resume`] would get on.
    pub(super) fn can_resume(&self, commands: &Commands<'_>) -> bool {
        if self.held.is_empty() {
            return false;
        }
        if self.refusing || commands.may_start(self.held[0]) {
            return true;
        }
        commands.counters.quota().ask();
        commands.tracker.is_idle() && commands.counters.quota().refusal().is_some()
    }

    /// Goes on with what was held. Answers what goes to the engine and what to the client, one of
    /// the two.
    pub(super) fn resume(
        &mut self,
        commands: &mut Commands<'_>,
    ) -> Result<(Vec<u8>, Vec<u8>), InvalidLength> {
        let mut held = std::mem::take(&mut self.held);
        if !self.refusing {
            let passed = commands.pass_allowed(&held)?;
            if passed > 0 {
                self.held = held.split_off(passed);
                return Ok((held, Vec::new()));
            }
        }
        let refusal = self
            .why
            .take()
            .or_else(|| commands.counters.quota().refusal());
        let (taken, answers) = self.refuse(&held, refusal.as_deref(), commands)?;
        self.why = refusal.filter(|_| self.refusing);
        self.held = held.split_off(taken);
        Ok((Vec::new(), answers))
    }

    /// Answers refused commands as the engine would, as far as they have come.
    fn refuse(
        &mut self,
        held: &[u8],
        refusal: Option<&QuotaRefusal>,
        commands: &mut Commands<'_>,
    ) -> Result<(usize, Vec<u8>), InvalidLength> {
        let mut answers = Vec::new();
        let mut rest = held;
        while let Some(letter) = rest.first() {
            if commands.scanner.at_boundary() {
                let goes_on = !self.in_batch && (refusal.is_none() || commands.may_start(*letter));
                if *letter == b'X' {
                    self.in_batch = false;
                }
                if goes_on || *letter == b'X' || answers.len() > ANSWERS_BYTES_MAX {
                    break;
                }
            }
            self.refusing = true;
            let length = commands.scanner.message_rest(rest);
            let mut begun = None;
            commands
                .scanner
                .feed(&rest[..length], |head| begun = Some(head.letter))?;
            if let Some(letter) = begun {
                self.answer(letter, refusal, &mut answers);
            }
            rest = &rest[length..];
        }
        self.refusing = self.in_batch || !commands.scanner.at_boundary();
        Ok((held.len() - rest.len(), answers))
    }

    fn answer(&mut self, letter: u8, refusal: Option<&QuotaRefusal>, answers: &mut Vec<u8>) {
        match letter {
            b'Q' | b'F' if !self.in_batch => {
                answers.extend(refusal.map(error).unwrap_or_default());
                answers.extend(wire::ready_for_query());
            }
            b'P' | b'B' | b'D' | b'E' | b'C' if !self.in_batch => {
                self.in_batch = true;
                answers.extend(refusal.map(error).unwrap_or_default());
            }
            b'S' => {
                self.in_batch = false;
                answers.extend(wire::ready_for_query());
            }
            _ => {}
        }
    }
}

impl Commands<'_> {
    fn pass(&mut self, bytes: &[u8]) -> Result<(), InvalidLength> {
        self.scanner
            .feed(bytes, |head| self.tracker.sent(head.letter))
    }

    /// Passes messages up to the first that may not start; answers how many bytes they have.
    fn pass_allowed(&mut self, bytes: &[u8]) -> Result<usize, InvalidLength> {
        let mut rest = bytes;
        while let Some(letter) = rest.first() {
            if self.scanner.at_boundary() && !self.may_start(*letter) {
                break;
            }
            let length = self.scanner.message_rest(rest);
            self.pass(&rest[..length])?;
            rest = &rest[length..];
        }
        Ok(bytes.len() - rest.len())
    }

    /// Whether a message of this type may go to the engine now.
    fn may_start(&self, letter: u8) -> bool {
        let starts = matches!(letter, b'Q' | b'F' | b'P' | b'B' | b'D' | b'E' | b'C');
        !starts
            || self.tracker.transaction() != Transaction::None
            || self.tracker.is_inside_batch()
            || self.counters.room() > self.tracker.outstanding() as u64
    }
}

fn error(refusal: &QuotaRefusal) -> Vec<u8> {
    wire::error_message(&ErrorFields {
        severity: "ERROR",
        sqlstate: sqlstate::CONFIGURATION_LIMIT_EXCEEDED,
        message: &refusal.message,
        detail: Some(&refusal.detail),
        hint: Some(&refusal.hint),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metering::Ceilings;

    struct Session {
        gate: CommandGate,
        scanner: Scanner,
        tracker: RequestTracker,
        counters: Counters,
    }

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        wire::message(letter, body)
    }

    fn refusal() -> QuotaRefusal {
        QuotaRefusal {
            message: "quota exceeded".into(),
            detail: "all is used".into(),
            hint: "upgrade".into(),
        }
    }

    impl Session {
        fn new(room: u64, refusal: Option<QuotaRefusal>) -> Self {
            let counters = Counters::default();
            let session = Self {
                gate: CommandGate::default(),
                scanner: Scanner::default(),
                tracker: RequestTracker::default(),
                counters,
            };
            session.room(room, refusal);
            session
        }

        fn room(&self, room: u64, refusal: Option<QuotaRefusal>) {
            let requests = self.counters.snapshot().requests + room;
            let ceilings = Ceilings {
                requests,
                ..Ceilings::NONE
            };
            self.counters.quota().set(ceilings, refusal);
        }

        fn commands(&mut self) -> (&mut CommandGate, Commands<'_>) {
            let commands = Commands {
                scanner: &mut self.scanner,
                tracker: &mut self.tracker,
                counters: &self.counters,
            };
            (&mut self.gate, commands)
        }

        fn sends(&mut self, bytes: &[u8]) -> usize {
            let (gate, mut commands) = self.commands();
            gate.admit(bytes, &mut commands).expect("valid")
        }

        /// What the client hears while nothing goes to the engine.
        fn hears(&mut self) -> Vec<u8> {
            let mut letters = Vec::new();
            loop {
                let (gate, mut commands) = self.commands();
                if !gate.can_resume(&commands) {
                    return letters;
                }
                let (engine, client) = gate.resume(&mut commands).expect("valid");
                assert!(engine.is_empty());
                let mut answers = Scanner::default();
                let heard = answers.feed(&client, |head| letters.push(head.letter));
                heard.expect("valid");
            }
        }

        fn answered(&mut self, letters: &[u8], status: u8) {
            for letter in letters {
                let counted = self.tracker.answered(*letter, status);
                self.counters.add_requests(counted.requests);
            }
        }
    }

    #[test]
    fn exactly_so_many_commands_pass_as_there_is_room() {
        let mut session = Session::new(3, Some(refusal()));
        let query = message(b'Q', b"select 1\0");
        let batch = query.repeat(5);
        assert_eq!(session.sends(&batch), 3 * query.len());
        assert!(session.gate.is_shut());
        assert_eq!(session.hears(), b"", "the first three are not answered yet");
        session.answered(b"CZCZCZ", b'I');
        assert_eq!(session.hears(), b"EZEZ");
        assert!(!session.gate.is_shut());
        session.room(9, None);
        assert_eq!(session.sends(&query), query.len());
    }

    #[test]
    fn a_transaction_and_a_batch_go_on_to_their_end() {
        let mut session = Session::new(1, Some(refusal()));
        let query = message(b'Q', b"begin\0");
        assert_eq!(session.sends(&query), query.len());
        session.answered(b"CZ", b'T');
        assert_eq!(session.sends(&query.repeat(2)), 2 * query.len());
        session.answered(b"CZCZ", b'I');
        assert_eq!(session.sends(&query), 0);
        assert_eq!(session.hears(), b"EZ");
        session.room(1, Some(refusal()));
        let parse = message(b'P', b"\0select 1\0\0\0");
        let execute = message(b'E', b"\0\0\0\0\0");
        assert_eq!(session.sends(&parse), parse.len());
        session.answered(b"1", 0);
        session.room(0, Some(refusal()));
        let rest = [execute, message(b'S', b"")].concat();
        assert_eq!(session.sends(&rest), rest.len());
    }

    #[test]
    fn a_refused_batch_is_answered_once_and_skipped_to_its_sync() {
        let mut session = Session::new(0, Some(refusal()));
        let batch = [
            message(b'P', b"\0select 1\0\0\0"),
            message(b'B', b"\0\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ]
        .concat();
        for cut in 0..=batch.len() {
            session.sends(&batch[..cut]);
            let mut heard = session.hears();
            // Room in the middle of a refused batch does not let its second half through.
            session.room(5, None);
            assert_eq!(session.sends(&batch[cut..]) == batch.len(), cut == 0);
            if cut == 0 {
                session = Session::new(0, Some(refusal()));
                continue;
            }
            heard.extend(session.hears());
            assert_eq!(heard, b"EZ", "cut at {cut}");
            session.room(0, Some(refusal()));
        }
    }

    #[test]
    fn a_client_waits_while_nobody_has_said_that_all_is_used() {
        let mut session = Session::new(0, None);
        let query = message(b'Q', b"select 1\0");
        assert_eq!(session.sends(&query), 0);
        assert_eq!(session.hears(), b"");
        session.room(1, None);
        let (gate, mut commands) = session.commands();
        assert!(gate.can_resume(&commands));
        let (engine, client) = gate.resume(&mut commands).expect("valid");
        assert_eq!((engine, client), (query, Vec::new()));
    }

    #[test]
    fn a_farewell_passes() {
        let mut session = Session::new(0, Some(refusal()));
        let end = message(b'X', b"");
        assert_eq!(session.sends(&end), end.len());
    }
}
