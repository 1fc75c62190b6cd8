//! Which bytes of the engine may reveal a commit that can still be lost. Pure.
//!
//! Outside of a transaction block all may: a row read, a notice and a notification as much as a
//! CommandComplete. Inside of one nothing does that its client could rely on before the block ends,
//! so messages pass from the one that says that it began until the one that says how it ended.

/// Bytes of a header: one letter and a length of four.
const HEADER_BYTES: usize = 5;

/// Bodies of the CommandComplete that begin a transaction block.
const BEGINS: [&[u8]; 2] = [b"BEGIN\0", b"START TRANSACTION\0"];

/// Bodies of the CommandComplete that end a transaction block. `ROLLBACK TO SAVEPOINT` says the same
/// as `ROLLBACK`: then it is waited once more than needed.
const ENDS: [&[u8]; 3] = [b"COMMIT\0", b"ROLLBACK\0", b"PREPARE TRANSACTION\0"];

/// Longest of both, bytes.
const TAG_BYTES_MAX: usize = 20;

/// What becomes of a stretch of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Goes to the client as soon as everything before it has.
    Passes,
    /// Waits for the archive.
    Waits,
}

/// The engine's side of one session, from the end of its start-up on.
#[derive(Debug, Default)]
pub(super) struct Withhold {
    /// The engine told that a transaction block is open, and nothing ended it since.
    in_block: bool,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// Bytes of the current message that are still to come.
    body_left: usize,
    /// The beginning of a body that decides.
    body: [u8; TAG_BYTES_MAX],
    body_bytes: usize,
    /// Of the current message, once it is known.
    verdict: Option<Verdict>,
    /// Bytes that were seen and not judged yet.
    unjudged: usize,
}

impl Withhold {
    /// Looks at one piece and calls `judge` for stretches, in order. What cannot be judged before
    /// more has come is judged then.
    pub(super) fn feed(&mut self, mut piece: &[u8], mut judge: impl FnMut(Verdict, usize)) {
        while !piece.is_empty() {
            let taken = if self.header_bytes < HEADER_BYTES {
                self.take_header(piece)
            } else {
                self.take_body(piece)
            };
            self.unjudged += taken;
            piece = &piece[taken..];
            if let Some(verdict) = self.verdict {
                judge(verdict, std::mem::take(&mut self.unjudged));
            }
            if self.header_bytes == HEADER_BYTES && self.body_left == 0 {
                (self.header_bytes, self.body_bytes) = (0, 0);
                self.verdict = None;
            }
        }
    }

    fn take_header(&mut self, piece: &[u8]) -> usize {
        let taken = piece.len().min(HEADER_BYTES - self.header_bytes);
        self.header[self.header_bytes..][..taken].copy_from_slice(&piece[..taken]);
        self.header_bytes += taken;
        if self.header_bytes == HEADER_BYTES {
            let [letter, a, b, c, d] = self.header;
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            self.body_left = length.saturating_sub(4);
            let decides = match letter {
                b'C' => self.body_left <= TAG_BYTES_MAX,
                b'Z' => true,
                _ => false,
            };
            if !decides {
                self.verdict = Some(self.usual());
            } else if self.body_left == 0 {
                self.decide();
            }
        }
        taken
    }

    fn take_body(&mut self, piece: &[u8]) -> usize {
        let taken = piece.len().min(self.body_left);
        self.body_left -= taken;
        if self.verdict.is_none() {
            let kept = taken.min(TAG_BYTES_MAX - self.body_bytes);
            self.body[self.body_bytes..][..kept].copy_from_slice(&piece[..kept]);
            self.body_bytes += kept;
            if self.body_left == 0 {
                self.decide();
            }
        }
        taken
    }

    fn usual(&self) -> Verdict {
        if self.in_block {
            Verdict::Passes
        } else {
            Verdict::Waits
        }
    }

    /// The current message is whole, and may begin or end a block. The one that ends it tells of its
    /// end; the one that begins it of nothing, and what came before goes first.
    fn decide(&mut self) {
        let body = &self.body[..self.body_bytes];
        self.in_block = match self.header[0] {
            b'Z' => matches!(body, [b'T' | b'E']),
            _ => BEGINS.contains(&body) || (self.in_block && !ENDS.contains(&body)),
        };
        self.verdict = Some(self.usual());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        super::super::wire::message(letter, body)
    }

    fn tag(text: &str) -> Vec<u8> {
        message(b'C', &[text.as_bytes(), b"\0"].concat())
    }

    fn ready(status: u8) -> Vec<u8> {
        message(b'Z', &[status])
    }

    /// The verdict of each byte, fed in pieces of the lengths of `cuts`, then the rest.
    fn verdicts(stream: &[u8], cuts: &[usize]) -> Vec<Verdict> {
        let mut withhold = Withhold::default();
        let mut judged = Vec::new();
        let mut judge = |verdict, bytes| judged.extend(std::iter::repeat_n(verdict, bytes));
        let mut rest = stream;
        for cut in cuts {
            let (piece, later) = rest.split_at((*cut).min(rest.len()));
            withhold.feed(piece, &mut judge);
            rest = later;
        }
        withhold.feed(rest, &mut judge);
        judged
    }

    /// The verdict of each message, which is that of all its bytes.
    fn of_messages(messages: &[Vec<u8>]) -> Vec<Verdict> {
        let judged = verdicts(&messages.concat(), &[]);
        let mut at = 0;
        let of_one = |message: &Vec<u8>| {
            let bytes = &judged[at..at + message.len()];
            at += message.len();
            assert!(bytes.iter().all(|verdict| *verdict == bytes[0]));
            bytes[0]
        };
        messages.iter().map(of_one).collect()
    }

    use Verdict::{Passes, Waits};

    #[test]
    fn everything_waits_outside_of_a_transaction_block() {
        let messages = [
            message(b'T', b"row description"),
            message(b'D', b"row"),
            message(b'N', b"notice"),
            message(b'A', b"notification"),
            message(b'd', b"copy data"),
            message(b'E', b"error"),
            tag("INSERT 0 1"),
            ready(b'I'),
            message(b'A', b"notification"),
        ];
        assert!(of_messages(&messages).iter().all(|it| *it == Waits));
    }

    #[test]
    fn a_transaction_waits_at_its_end_alone() {
        let messages = [
            tag("BEGIN"),
            ready(b'T'),
            message(b'D', b"row"),
            tag("INSERT 0 1"),
            ready(b'T'),
            message(b'E', b"error"),
            ready(b'E'),
            tag("SAVEPOINT"),
            tag("COMMIT"),
            message(b'A', b"notification"),
            ready(b'I'),
            message(b'D', b"row"),
        ];
        let expected = [
            Passes, Passes, Passes, Passes, Passes, Passes, Passes, Passes, Waits, Waits, Waits,
            Waits,
        ];
        assert_eq!(of_messages(&messages), expected);
    }

    #[test]
    fn every_way_out_of_a_block_waits() {
        for end in ["COMMIT", "ROLLBACK", "PREPARE TRANSACTION"] {
            let messages = [ready(b'T'), tag(end), message(b'D', b"row")];
            assert_eq!(of_messages(&messages), [Passes, Waits, Waits], "{end}");
        }
        for no_end in [
            "COMMIT PREPARED",
            "ROLLBACK PREPARED",
            "COMMITS",
            "SELECT 1",
        ] {
            let messages = [ready(b'T'), tag(no_end), message(b'D', b"row")];
            assert_eq!(of_messages(&messages), [Passes; 3], "{no_end}");
        }
        // A COMMIT that failed answers with an error alone.
        let failed = [ready(b'T'), message(b'E', b""), ready(b'I'), ready(b'I')];
        assert_eq!(of_messages(&failed), [Passes, Passes, Waits, Waits]);
    }

    #[test]
    fn a_chained_transaction_waits_between_the_two() {
        let messages = [
            ready(b'T'),
            tag("COMMIT"),
            message(b'D', b"row"),
            ready(b'T'),
            message(b'D', b"row"),
        ];
        let expected = [Passes, Waits, Waits, Passes, Passes];
        assert_eq!(of_messages(&messages), expected);
    }

    #[test]
    fn a_block_begins_and_ends_in_the_midst_of_a_pipeline() {
        for begin in ["BEGIN", "START TRANSACTION"] {
            let messages = [
                tag("INSERT 0 1"),
                message(b'2', b""),
                tag(begin),
                message(b'D', b"row"),
                tag("UPDATE 1"),
                tag("COMMIT"),
                message(b'D', b"row"),
                tag(begin),
                message(b'D', b"row"),
                ready(b'T'),
            ];
            let expected = [
                Waits, Waits, Passes, Passes, Passes, Waits, Waits, Passes, Passes, Passes,
            ];
            assert_eq!(of_messages(&messages), expected, "{begin}");
        }
        for no_begin in ["BEGINS", "SELECT 1", "START"] {
            let messages = [tag(no_begin), message(b'D', b"row")];
            assert_eq!(of_messages(&messages), [Waits, Waits], "{no_begin}");
        }
    }

    #[test]
    fn what_may_be_the_end_of_a_block_is_not_let_out_in_pieces() {
        let stream = [ready(b'T'), tag("COMMIT")].concat();
        let mut withhold = Withhold::default();
        let mut passed = 0;
        for byte in &stream {
            withhold.feed(&[*byte], |verdict, bytes| {
                passed += if verdict == Passes { bytes } else { 0 };
            });
        }
        assert_eq!(passed, ready(b'T').len());
    }

    proptest! {
        #[test]
        fn verdicts_do_not_depend_on_how_the_stream_is_cut(
            messages in prop::collection::vec(0_usize..12, 0..30),
            cuts in prop::collection::vec(1_usize..9, 0..200),
        ) {
            let kinds = [
                ready(b'I'), ready(b'T'), tag("BEGIN"), tag("COMMIT"), tag("ROLLBACK"),
                tag("PREPARE TRANSACTION"), tag("INSERT 0 1"), tag("COMMIT PREPARED"),
                message(b'D', b"a row of some length"), message(b'A', b""),
                message(b'1', b""), message(b'E', b"an error"),
            ];
            let stream: Vec<u8> = messages.iter().flat_map(|kind| kinds[*kind].clone()).collect();
            let whole = verdicts(&stream, &[]);
            prop_assert_eq!(whole.len(), stream.len());
            prop_assert_eq!(verdicts(&stream, &cuts), whole);
        }
    }
}
