//! What was asked, and what of it is answered by the archive. Pure.

use lumadb_contract::archive::Lsn;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// How long WAL that was inserted may take to the engine's disk by itself. A record that ends with
/// a page, or another's open transaction, can leave it there for ever.
const FLUSH_PATIENCE: Duration = Duration::from_millis(5);

/// Number of a question.
pub(crate) type Number = u64;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Look again then.
    At(Instant),
    /// Have the engine flush up to here, if it has not, and tell how far it has.
    FlushPast(Lsn),
}

#[derive(Debug, Clone, Copy)]
struct Answered {
    number: Number,
    inserted: Lsn,
    at: Instant,
}

/// The questions of one life of an engine, oldest first: their answers never go back.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: VecDeque<Answered>,
    flushed: Lsn,
}

impl Questions {
    /// The engine answered question `number`.
    pub(crate) fn answered(&mut self, number: Number, inserted: Lsn, flushed: Lsn, at: Instant) {
        self.flushed(flushed);
        match self.open.back_mut() {
            Some(last) if last.inserted == inserted => last.number = number,
            _ => self.open.push_back(Answered {
                number,
                inserted,
                at,
            }),
        }
    }

    /// The engine told that WAL before this is on its disk.
    pub(crate) fn flushed(&mut self, flushed: Lsn) {
        self.flushed = self.flushed.max(flushed);
    }

    /// The last question that is done with when the archive covers everything before `archived`.
    pub(crate) fn release(&mut self, archived: Lsn) -> Option<Number> {
        let safe = archived.min(self.flushed);
        let count = self.open.partition_point(|asked| asked.inserted <= safe);
        self.open
            .drain(..count)
            .next_back()
            .map(|asked| asked.number)
    }

    pub(crate) fn need(&self, archived: Lsn, now: Instant) -> Need {
        let flushed = self.flushed;
        let first = (self.open).partition_point(|asked| asked.inserted <= flushed);
        let Some(unflushed) = self.open.get(first) else {
            return Need::Nothing;
        };
        let due = unflushed.at + FLUSH_PATIENCE;
        if unflushed.inserted <= archived || due <= now {
            Need::FlushPast(unflushed.inserted)
        } else {
            Need::At(due)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_released_when_disk_and_archive_hold_it() {
        let now = Instant::now();
        let mut questions = Questions::default();
        questions.answered(1, Lsn(10), Lsn(10), now);
        questions.answered(2, Lsn(20), Lsn(10), now);
        questions.answered(3, Lsn(30), Lsn(10), now);
        assert_eq!(questions.release(Lsn(9)), None);
        assert_eq!(questions.release(Lsn(25)), Some(1));
        questions.flushed(Lsn(25));
        assert_eq!(questions.release(Lsn(9)), None);
        assert_eq!(questions.release(Lsn(25)), Some(2));
        assert_eq!(questions.release(Lsn(25)), None);
        questions.flushed(Lsn(30));
        assert_eq!(questions.release(Lsn(100)), Some(3));
    }

    #[test]
    fn the_same_answer_twice_is_one() {
        let now = Instant::now();
        let mut questions = Questions::default();
        for number in 1..1000 {
            questions.answered(number, Lsn(10), Lsn(10), now);
        }
        assert_eq!(questions.open.len(), 1);
        assert_eq!(questions.release(Lsn(10)), Some(999));
    }

    #[test]
    fn the_engine_gets_its_time_to_flush_unless_the_archive_was_faster() {
        let now = Instant::now();
        let mut questions = Questions::default();
        assert_eq!(questions.need(Lsn(0), now), Need::Nothing);
        questions.answered(1, Lsn(10), Lsn(10), now);
        assert_eq!(questions.need(Lsn(0), now), Need::Nothing);
        questions.answered(2, Lsn(20), Lsn(10), now);
        let due = now + FLUSH_PATIENCE;
        assert_eq!(questions.need(Lsn(15), now), Need::At(due));
        assert_eq!(questions.need(Lsn(15), due), Need::FlushPast(Lsn(20)));
        assert_eq!(questions.need(Lsn(20), now), Need::FlushPast(Lsn(20)));
        questions.flushed(Lsn(20));
        assert_eq!(questions.need(Lsn(15), due), Need::Nothing);
    }
}
