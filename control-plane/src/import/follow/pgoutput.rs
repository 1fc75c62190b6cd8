//! What PostgreSQL's plugin `pgoutput` says of changes, in the first version of its protocol
//! (PostgreSQL's manual, "Logical Replication Message Formats"). Values are texts: no types were
//! asked for in binary.

use bytes::{Buf as _, Bytes};
use lumadb_contract::archive::Lsn;
use time::{Duration, OffsetDateTime};

/// 2000-01-01 00:00 UTC, from which PostgreSQL counts, in seconds of Unix.
const EPOCH_SECONDS: i64 = 946_684_800;

/// A message that is cut off, or is none of this protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the source publishes what pgoutput does not")]
pub(super) struct Malformed;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    Begin {
        /// By the source's clock.
        committed_at: OffsetDateTime,
    },
    Commit {
        /// Where the record of the commit ends: whoever has applied the transaction goes on here.
        end: Lsn,
    },
    /// Comes before the first change of a table, and again after it changed.
    Relation(Relation),
    Insert {
        relation: u32,
        new: Vec<Value>,
    },
    Update {
        relation: u32,
        /// The row before, where its identity changed or all of it is the identity.
        old: Option<Vec<Value>>,
        new: Vec<Value>,
    },
    Delete {
        relation: u32,
        old: Vec<Value>,
    },
    /// Tables that `CASCADE` reached are named too; sequences follow when the import switches over.
    Truncate {
        relations: Vec<u32>,
    },
    /// Names of types, and where a change came from.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) id: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// `REPLICA IDENTITY FULL`: each column tells rows apart.
    pub(super) is_full: bool,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Belongs to what tells rows apart.
    pub(super) is_key: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    /// Stored apart from its row (TOAST), and as it was before.
    Unchanged,
    Text(String),
}

/// Reads one message.
pub(super) fn decode(mut body: Bytes) -> Result<Message, Malformed> {
    let body = &mut body;
    Ok(match byte(body)? {
        b'B' => {
            long(body)?;
            let committed_at = moment(long(body)?)?;
            Message::Begin { committed_at }
        }
        b'C' => {
            byte(body)?;
            long(body)?;
            Message::Commit {
                end: Lsn(long(body)?),
            }
        }
        b'R' => Message::Relation(relation(body)?),
        b'I' => {
            let relation = int(body)?;
            expect(body, b'N')?;
            let new = tuple(body)?;
            Message::Insert { relation, new }
        }
        b'U' => {
            let relation = int(body)?;
            let mut kind = byte(body)?;
            let mut old = None;
            if matches!(kind, b'K' | b'O') {
                old = Some(tuple(body)?);
                kind = byte(body)?;
            }
            if kind != b'N' {
                return Err(Malformed);
            }
            let new = tuple(body)?;
            Message::Update { relation, old, new }
        }
        b'D' => {
            let relation = int(body)?;
            if !matches!(byte(body)?, b'K' | b'O') {
                return Err(Malformed);
            }
            let old = tuple(body)?;
            Message::Delete { relation, old }
        }
        b'T' => {
            let count = int(body)?;
            byte(body)?;
            let relations = (0..count).map(|_| int(body)).collect::<Result<_, _>>()?;
            Message::Truncate { relations }
        }
        b'O' | b'Y' | b'M' => Message::Other,
        _ => return Err(Malformed),
    })
}

fn relation(body: &mut Bytes) -> Result<Relation, Malformed> {
    let id = int(body)?;
    let mut schema = text(body)?;
    if schema.is_empty() {
        schema.push_str("pg_catalog");
    }
    let name = text(body)?;
    let is_full = byte(body)? == b'f';
    let count = short(body)?;
    let mut columns = Vec::with_capacity(count.into());
    for _ in 0..count {
        let is_key = byte(body)? & 1 == 1;
        let name = text(body)?;
        int(body)?;
        int(body)?;
        columns.push(Column { name, is_key });
    }
    Ok(Relation {
        id,
        schema,
        name,
        is_full,
        columns,
    })
}

fn tuple(body: &mut Bytes) -> Result<Vec<Value>, Malformed> {
    let count = short(body)?;
    let mut values = Vec::with_capacity(count.into());
    for _ in 0..count {
        values.push(match byte(body)? {
            b'n' => Value::Null,
            b'u' => Value::Unchanged,
            b't' => {
                let length = int(body)? as usize;
                if length > body.len() {
                    return Err(Malformed);
                }
                let bytes = body.split_to(length);
                let text = String::from_utf8(bytes.into()).map_err(|_| Malformed)?;
                Value::Text(text)
            }
            _ => return Err(Malformed),
        });
    }
    Ok(values)
}

/// Microseconds since PostgreSQL's epoch as a moment.
fn moment(microseconds: u64) -> Result<OffsetDateTime, Malformed> {
    let epoch = OffsetDateTime::from_unix_timestamp(EPOCH_SECONDS).map_err(|_| Malformed)?;
    let since = i64::try_from(microseconds).map_err(|_| Malformed)?;
    epoch
        .checked_add(Duration::microseconds(since))
        .ok_or(Malformed)
}

fn expect(body: &mut Bytes, wanted: u8) -> Result<(), Malformed> {
    if byte(body)? == wanted {
        return Ok(());
    }
    Err(Malformed)
}

fn byte(body: &mut Bytes) -> Result<u8, Malformed> {
    body.try_get_u8().map_err(|_| Malformed)
}

fn short(body: &mut Bytes) -> Result<u16, Malformed> {
    body.try_get_u16().map_err(|_| Malformed)
}

fn int(body: &mut Bytes) -> Result<u32, Malformed> {
    body.try_get_u32().map_err(|_| Malformed)
}

fn long(body: &mut Bytes) -> Result<u64, Malformed> {
    body.try_get_u64().map_err(|_| Malformed)
}

fn text(body: &mut Bytes) -> Result<String, Malformed> {
    let end = body.iter().position(|byte| *byte == 0).ok_or(Malformed)?;
    let bytes = body.split_to(end);
    body.advance(1);
    String::from_utf8(bytes.into()).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut as _;

    fn values(to: &mut Vec<u8>, values: &[Value]) {
        to.put_u16(u16::try_from(values.len()).expect("few"));
        for value in values {
            match value {
                Value::Null => to.put_u8(b'n'),
                Value::Unchanged => to.put_u8(b'u'),
                Value::Text(text) => {
                    to.put_u8(b't');
                    to.put_u32(u32::try_from(text.len()).expect("short"));
                    to.put_slice(text.as_bytes());
                }
            }
        }
    }

    fn all() -> Vec<(Vec<u8>, Message)> {
        let row = vec![Value::Text("7".into()), Value::Null, Value::Unchanged];
        let begin = [&b"B"[..], &[0; 8], &1_000_000u64.to_be_bytes(), &[0; 4]].concat();
        let commit = [
            &b"C\0"[..],
            &[0; 8],
            &0x1_0000_0002u64.to_be_bytes(),
            &[0; 8],
        ]
        .concat();
        let relation = [
            &b"R\0\0\0\x05shop\0orders\0d\0\x02"[..],
            b"\x01id\0\0\0\0\x17\xff\xff\xff\xff",
            b"\0note\0\0\0\0\x19\xff\xff\xff\xff",
        ];
        let mut insert = b"I\0\0\0\x05N".to_vec();
        values(&mut insert, &row);
        let mut update = b"U\0\0\0\x05K".to_vec();
        values(&mut update, &row[..2]);
        update.push(b'N');
        values(&mut update, &row);
        let mut update_in_place = b"U\0\0\0\x05N".to_vec();
        values(&mut update_in_place, &row);
        let mut delete = b"D\0\0\0\x05O".to_vec();
        values(&mut delete, &row);
        let committed_at = OffsetDateTime::from_unix_timestamp(EPOCH_SECONDS + 1).expect("a time");
        let column = |name: &str, is_key| Column {
            name: name.into(),
            is_key,
        };
        vec![
            (begin, Message::Begin { committed_at }),
            (
                commit,
                Message::Commit {
                    end: Lsn(0x1_0000_0002),
                },
            ),
            (
                relation.concat(),
                Message::Relation(Relation {
                    id: 5,
                    schema: "shop".into(),
                    name: "orders".into(),
                    is_full: false,
                    columns: vec![column("id", true), column("note", false)],
                }),
            ),
            (
                insert,
                Message::Insert {
                    relation: 5,
                    new: row.clone(),
                },
            ),
            (
                update,
                Message::Update {
                    relation: 5,
                    old: Some(row[..2].to_vec()),
                    new: row.clone(),
                },
            ),
            (
                update_in_place,
                Message::Update {
                    relation: 5,
                    old: None,
                    new: row.clone(),
                },
            ),
            (
                delete,
                Message::Delete {
                    relation: 5,
                    old: row,
                },
            ),
            (
                b"T\0\0\0\x02\x03\0\0\0\x05\0\0\0\x06".to_vec(),
                Message::Truncate {
                    relations: vec![5, 6],
                },
            ),
        ]
    }

    #[test]
    fn every_kind_of_message_reads() {
        for (bytes, message) in all() {
            assert_eq!(decode(bytes.into()), Ok(message));
        }
        assert_eq!(
            decode(Bytes::from_static(b"Y\0\0\0\x01")),
            Ok(Message::Other)
        );
    }

    #[test]
    fn what_is_cut_off_anywhere_is_refused() {
        // A begin's last four bytes, and a commit's last eight, are not looked at.
        for (bytes, message) in all() {
            let looked_at = match message {
                Message::Begin { .. } => bytes.len() - 4,
                Message::Commit { .. } => bytes.len() - 8,
                _ => bytes.len(),
            };
            for end in 0..looked_at {
                let cut = Bytes::copy_from_slice(&bytes[..end]);
                assert_eq!(decode(cut), Err(Malformed), "{message:?} at {end}");
            }
        }
        assert_eq!(decode(Bytes::from_static(b"X")), Err(Malformed));
        let endless = b"I\0\0\0\x05N\0\x01t\xff\xff\xff\xff";
        assert_eq!(decode(Bytes::from_static(endless)), Err(Malformed));
    }
}
