//! Which item may follow which. Pure.
//!
//! Within an epoch each chunk begins where the one before ended and names its hash. A seal begins a
//! higher epoch; behind it [`WINDOW`] numbers belong to nobody, so that what a fenced writer still
//! has on the way cannot stand in the way of the new one. A seal may also begin at a later position:
//! the WAL between is nowhere (the slot was lost).

use super::format::{Hash, Header, Kind, WINDOW};
use crate::archive::layout::Sequence;
use lumadb_contract::archive::Lsn;

/// Where a chain has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) epoch: u64,
    /// Number of the next item.
    pub(super) next: Sequence,
    pub(super) hash: Hash,
    /// `None`: no WAL yet.
    pub(super) end: Option<Lsn>,
    /// Something was lost before: what comes next cannot be checked against it.
    loose: bool,
}

impl Position {
    pub(super) const START: Self = Self {
        epoch: 0,
        next: 1,
        hash: [0; 32],
        end: None,
        loose: false,
    };

    /// Behind a run, which stands for all that was before it.
    pub(super) fn behind_run(run: &Header) -> Self {
        Self {
            epoch: run.epoch,
            next: run.next,
            hash: run.continues,
            end: Some(run.end),
            loose: false,
        }
    }

    /// Goes on at `next`, behind something that was lost.
    pub(super) fn skip_to(&mut self, next: Sequence) {
        self.next = next;
        self.loose = true;
    }

    /// Goes past `header`; otherwise says why it does not belong here.
    pub(super) fn accept(&mut self, header: &Header) -> Result<(), &'static str> {
        if header.sequence != self.next {
            return Err("it has another number than its name");
        }
        if !self.loose && header.previous != self.hash {
            return Err("it follows something else than what is before it");
        }
        let end = self.end.unwrap_or_default();
        match header.kind {
            Kind::Chunk => {
                let follows = self.end == Some(header.start) || (self.loose && header.start >= end);
                let same = header.epoch == self.epoch || (self.loose && header.epoch > self.epoch);
                if !same || !follows || header.end <= header.start {
                    return Err("it begins where nothing ended");
                }
            }
            Kind::Seal => {
                if header.epoch <= self.epoch || header.start < end {
                    return Err("it does not seal what is before it");
                }
            }
            Kind::History | Kind::Run => return Err("it is no part of a chain"),
        }
        if header.next <= header.sequence || header.next - header.sequence > WINDOW {
            return Err("it is followed by what it cannot be");
        }
        *self = Self {
            epoch: header.epoch,
            next: header.next,
            hash: header.hash(),
            end: Some(header.end),
            loose: false,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::tests::header;
    use super::*;

    /// A chunk of `length` bytes, or a seal, that follows.
    fn after(position: &Position, kind: Kind, length: usize) -> Header {
        let seal = kind == Kind::Seal;
        let start = position.end.unwrap_or(Lsn(0x100_0000));
        Header {
            sequence: position.next,
            next: position.next + if seal { WINDOW } else { 1 },
            epoch: position.epoch + u64::from(seal),
            start,
            end: Lsn(start.0 + length as u64),
            previous: position.hash,
            ..header(kind, &[])
        }
    }

    fn begun() -> Position {
        let mut position = Position::START;
        let seal = after(&position, Kind::Seal, 0);
        position.accept(&seal).expect("a seal begins it");
        position
    }

    #[test]
    fn a_chain_begins_with_a_seal_and_goes_on_where_it_ended() {
        let mut position = Position::START;
        let chunk = after(&position, Kind::Chunk, 10);
        assert!(position.accept(&chunk).is_err(), "no epoch yet");
        let mut position = begun();
        assert_eq!((position.epoch, position.next), (1, 1 + WINDOW));
        for length in [10, 20] {
            let chunk = after(&position, Kind::Chunk, length);
            position.accept(&chunk).expect("follows");
        }
        assert_eq!(position.end, Some(Lsn(0x100_0000 + 30)));
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        let position = begun();
        let good = after(&position, Kind::Chunk, 10);
        let bad = [
            Header {
                sequence: good.sequence + 1,
                ..good
            },
            Header {
                previous: [9; 32],
                ..good
            },
            Header {
                start: Lsn(good.start.0 + 1),
                ..good
            },
            Header {
                end: good.start,
                ..good
            },
            Header { epoch: 2, ..good },
            Header { epoch: 0, ..good },
            Header {
                next: good.sequence,
                ..good
            },
            Header {
                next: good.sequence + WINDOW + 1,
                ..good
            },
            Header {
                epoch: 1,
                kind: Kind::Seal,
                ..good
            },
        ];
        for header in bad {
            let mut position = position;
            assert!(position.accept(&header).is_err(), "{header:?}");
        }
    }

    #[test]
    fn a_seal_may_leave_a_hole_and_never_goes_back() {
        let mut position = begun();
        let chunk = after(&position, Kind::Chunk, 10);
        position.accept(&chunk).expect("follows");
        let mut seal = after(&position, Kind::Seal, 0);
        seal.start.0 -= 1;
        assert!(position.clone().accept(&seal).is_err());
        seal.start.0 += 1000;
        seal.end = seal.start;
        position.accept(&seal).expect("later");
        assert_eq!((position.epoch, position.end), (2, Some(seal.start)));
    }

    #[test]
    fn behind_something_lost_only_order_is_checked() {
        let mut position = begun();
        let mut later = after(&position, Kind::Chunk, 10);
        position.skip_to(position.next + 3);
        later.sequence += 3;
        later.next += 3;
        later.previous = [9; 32];
        later.start.0 += 500;
        later.end.0 += 500;
        position.accept(&later).expect("cannot be checked");
        let next = after(&position, Kind::Chunk, 1);
        position.accept(&next).expect("checked again");
    }
}
