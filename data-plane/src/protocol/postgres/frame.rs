//! Finds the headers of messages in a stream of bytes that arrives in arbitrary pieces.

/// Longest message of either side, bytes, its length field included: PostgreSQL allocates at most
/// 1 GiB − 1 for one (`PQ_LARGE_MESSAGE_LIMIT`).
pub const MESSAGE_BYTES_MAX: u32 = 0x3fff_ffff;

/// Bytes of a header: one letter and a length of four.
const HEADER_BYTES: usize = 5;

/// The letter of ReadyForQuery: the one message whose body is looked at, one byte of it.
const READY_FOR_QUERY: u8 = b'Z';

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of type {letter:#04x} claims a length of {length} bytes")]
pub struct InvalidLength {
    pub letter: u8,
    pub length: u32,
}

/// A message whose header has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub letter: u8,
    /// Status byte of ReadyForQuery; 0 for every other message.
    pub status: u8,
}

/// Where one direction of a connection stands between two pieces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scanner {
    partial: [u8; HEADER_BYTES],
    partial_bytes: u8,
    /// Bytes of the current message that are still to come.
    body_left: u32,
    /// The next byte is the status of a ReadyForQuery.
    status_awaited: bool,
}

impl Scanner {
    /// Looks at one piece and calls `on_head` for each message that begins in it.
    pub fn feed(
        &mut self,
        mut piece: &[u8],
        mut on_head: impl FnMut(Head),
    ) -> Result<(), InvalidLength> {
        while let Some(&first) = piece.first() {
            if self.status_awaited {
                self.status_awaited = false;
                on_head(Head {
                    letter: READY_FOR_QUERY,
                    status: first,
                });
            }
            if self.body_left > 0 {
                let skipped = piece.len().min(self.body_left as usize);
                self.body_left -= u32::try_from(skipped).unwrap_or(self.body_left);
                piece = &piece[skipped..];
                continue;
            }
            let header = if self.partial_bytes == 0 && piece.len() >= HEADER_BYTES {
                let (header, rest) = piece.split_at(HEADER_BYTES);
                piece = rest;
                [header[0], header[1], header[2], header[3], header[4]]
            } else {
                self.partial[usize::from(self.partial_bytes)] = first;
                self.partial_bytes += 1;
                piece = &piece[1..];
                if usize::from(self.partial_bytes) < HEADER_BYTES {
                    continue;
                }
                self.partial_bytes = 0;
                self.partial
            };
            self.begin(header, &mut on_head)?;
        }
        Ok(())
    }

    fn begin(
        &mut self,
        [letter, a, b, c, d]: [u8; HEADER_BYTES],
        on_head: &mut impl FnMut(Head),
    ) -> Result<(), InvalidLength> {
        let length = u32::from_be_bytes([a, b, c, d]);
        if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(InvalidLength { letter, length });
        }
        self.body_left = length - 4;
        if letter == READY_FOR_QUERY && self.body_left > 0 {
            self.status_awaited = true;
        } else {
            on_head(Head { letter, status: 0 });
        }
        Ok(())
    }

    /// How many bytes of `piece`, which comes next, belong to the message that it begins or goes on
    /// with. All of them where the message is longer, or cannot be told to end.
    pub fn message_rest(&self, piece: &[u8]) -> usize {
        if self.body_left > 0 {
            return piece.len().min(self.body_left as usize);
        }
        let before = usize::from(self.partial_bytes);
        let mut header = self.partial;
        let missing = HEADER_BYTES - before;
        let Some(rest_of_header) = piece.get(..missing) else {
            return piece.len();
        };
        header[before..].copy_from_slice(rest_of_header);
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let whole = (length as usize).saturating_sub(4).saturating_add(missing);
        piece.len().min(whole)
    }

    /// Whether everything that has begun is complete.
    pub fn at_boundary(&self) -> bool {
        self.partial_bytes == 0 && self.body_left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short");
        [&[letter][..], &length.to_be_bytes(), body].concat()
    }

    proptest! {
        #[test]
        fn headers_are_found_however_the_stream_is_cut(
            messages in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20),
            cuts in prop::collection::vec(1_usize..9, 0..200),
        ) {
            let mut stream: Vec<u8> = Vec::new();
            let mut expected = Vec::new();
            for (letter, body) in &messages {
                stream.extend(message(*letter, body));
                let status = if *letter == b'Z' { body.first().copied().unwrap_or(0) } else { 0 };
                expected.push(Head { letter: *letter, status });
            }
            let (mut scanner, mut found) = (Scanner::default(), Vec::new());
            let mut rest = stream.as_slice();
            for cut in cuts {
                let (piece, later) = rest.split_at(cut.min(rest.len()));
                scanner.feed(piece, |head| found.push(head)).expect("valid");
                rest = later;
            }
            scanner.feed(rest, |head| found.push(head)).expect("valid");
            prop_assert_eq!(found, expected);
            prop_assert!(scanner.at_boundary());
        }
    }

    proptest! {
        #[test]
        fn a_stream_is_cut_where_its_messages_end(
            messages in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..10),
            cut in 1_usize..40,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|(letter, body)| message(*letter, body)).collect();
            let (mut scanner, mut ends, mut at) = (Scanner::default(), Vec::new(), 0);
            for piece in stream.chunks(cut) {
                let mut rest = piece;
                while !rest.is_empty() {
                    let length = scanner.message_rest(rest);
                    prop_assert!(length > 0);
                    scanner.feed(&rest[..length], |_| ()).expect("valid");
                    rest = &rest[length..];
                    at += length;
                    if scanner.at_boundary() {
                        ends.push(at);
                    }
                }
            }
            let mut expected = 0;
            let expected: Vec<_> = messages.iter().map(|(_, body)| {
                expected += body.len() + HEADER_BYTES;
                expected
            }).collect();
            prop_assert_eq!(ends, expected);
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for length in [0_u32, 3, MESSAGE_BYTES_MAX + 1, u32::MAX] {
            let header = [&b"Q"[..], &length.to_be_bytes()].concat();
            let refused = Scanner::default().feed(&header, |_| ());
            assert_eq!(
                refused,
                Err(InvalidLength {
                    letter: b'Q',
                    length
                })
            );
        }
    }
}
