//! Reading PostgreSQL's answers to simple queries, within limits.
//!
//! A message is taken into memory only up to a bound; what of a result lies beyond the limits is
//! read and dropped, up to a bound as well.

use super::{SqlAnswer, SqlColumn, SqlError, SqlResult};
use crate::edge_door::{Stream, send};
use bytes::BytesMut;
use postgres_protocol::message::backend::{
    DataRowBody, ErrorResponseBody, Header, Message, RowDescriptionBody,
};
use postgres_protocol::message::frontend;
use std::io;
use tokio::io::AsyncReadExt as _;
use tokio_postgres::fallible_iterator::FallibleIterator as _;
use tokio_postgres::types::Type;

/// Largest message that is taken into memory, bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most that is read and dropped of one answer, bytes.
const DROPPED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// SQLSTATE of a configured limit.
const LIMIT_EXCEEDED: &str = "53400";

/// What one answer may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Rows of each result.
    pub(super) rows: usize,
    /// Bytes of values of all results.
    pub(super) bytes: usize,
}

/// Collects an answer. Reading may be broken off and taken up again.
pub(super) struct Reader {
    pub(super) stream: Box<dyn Stream>,
    pub(super) key: Option<(i32, i32)>,
    limits: Limits,
    buffer: BytesMut,
    answer: SqlAnswer,
    open: Option<SqlResult>,
    kept_bytes: usize,
    dropped_bytes: usize,
}

impl Reader {
    pub(super) fn new(stream: Box<dyn Stream>, limits: Limits) -> Self {
        Self {
            stream,
            key: None,
            limits,
            buffer: BytesMut::with_capacity(8 * 1024),
            answer: SqlAnswer::default(),
            open: None,
            kept_bytes: 0,
            dropped_bytes: 0,
        }
    }

    /// Reads until the session is ready; an error says why it is refused.
    pub(super) async fn start(&mut self) -> io::Result<Option<SqlError>> {
        loop {
            match self.message().await? {
                Some(Message::ErrorResponse(body)) => return Ok(Some(error(&body)?)),
                Some(Message::BackendKeyData(body)) => {
                    self.key = Some((body.process_id(), body.secret_key()));
                }
                Some(Message::ReadyForQuery(_)) => return Ok(None),
                Some(
                    Message::AuthenticationOk
                    | Message::ParameterStatus(_)
                    | Message::NoticeResponse(_),
                ) => {}
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Reads to the end of the statements.
    pub(super) async fn run(&mut self) -> io::Result<SqlAnswer> {
        loop {
            let message = match self.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(self.cut_off("The connection was closed.")),
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    return Ok(self.cut_off("The result is too large for the editor."));
                }
                Err(error) => return Err(error),
            };
            match message {
                Message::RowDescription(body) => self.begin_result(&body)?,
                Message::DataRow(body) => self.row(&body)?,
                Message::CommandComplete(body) => {
                    let tag = body.tag()?.to_owned();
                    self.end_result(&tag);
                }
                Message::ErrorResponse(body) => {
                    self.open = None;
                    self.answer.error = Some(error(&body)?);
                }
                Message::CopyInResponse(_) => {
                    let mut packet = BytesMut::new();
                    frontend::copy_fail("the editor does not send COPY data", &mut packet)?;
                    send(&mut *self.stream, &packet).await?;
                }
                Message::CopyData(body) => self.drop_bytes(body.data().len()),
                Message::ReadyForQuery(_) => return Ok(std::mem::take(&mut self.answer)),
                _ => {}
            }
            if self.dropped_bytes > DROPPED_BYTES_MAX {
                return Ok(self.cut_off("The result is too large for the editor."));
            }
        }
    }

    /// What there is, with an error of the editor's own.
    pub(super) fn cut_off(&mut self, message: &str) -> SqlAnswer {
        let mut answer = std::mem::take(&mut self.answer);
        answer.error.get_or_insert_with(|| SqlError {
            message: message.to_owned(),
            code: LIMIT_EXCEEDED.to_owned(),
            ..SqlError::default()
        });
        answer
    }

    /// The next message; `None` at the end of the stream.
    async fn message(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(header) = Header::parse(&self.buffer)? {
                let length = usize::try_from(header.len()).unwrap_or(usize::MAX);
                if length > MESSAGE_BYTES_MAX {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                if let Some(message) = Message::parse(&mut self.buffer)? {
                    return Ok(Some(message));
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn begin_result(&mut self, body: &RowDescriptionBody) -> io::Result<()> {
        let mut result = SqlResult::default();
        let mut fields = body.fields();
        while let Some(field) = fields.next()? {
            let type_name = Type::from_oid(field.type_oid()).map_or_else(
                || field.type_oid().to_string(),
                |known| known.name().to_owned(),
            );
            result.columns.push(SqlColumn {
                name: field.name().to_owned(),
                type_name,
            });
        }
        self.open = Some(result);
        Ok(())
    }

    fn row(&mut self, body: &DataRowBody) -> io::Result<()> {
        let bytes = body.buffer().len();
        let result = self.open.get_or_insert_default();
        if result.rows.len() >= self.limits.rows || self.kept_bytes + bytes > self.limits.bytes {
            result.truncated = true;
            self.drop_bytes(bytes);
            return Ok(());
        }
        let mut row = Vec::with_capacity(result.columns.len());
        let mut ranges = body.ranges();
        while let Some(range) = ranges.next()? {
            row.push(
                range.map(|range| String::from_utf8_lossy(&body.buffer()[range]).into_owned()),
            );
        }
        result.rows.push(row);
        self.kept_bytes += bytes;
        Ok(())
    }

    fn end_result(&mut self, tag: &str) {
        let mut result = self.open.take().unwrap_or_default();
        let mut words: Vec<&str> = tag.split(' ').collect();
        result.rows_affected = words.last().and_then(|word| word.parse().ok());
        while words.len() > 1 && words.last().is_some_and(|word| word.parse::<u64>().is_ok()) {
            words.pop();
        }
        result.command = words.join(" ");
        self.answer.results.push(result);
    }

    fn drop_bytes(&mut self, bytes: usize) {
        self.dropped_bytes = self.dropped_bytes.saturating_add(bytes);
    }
}

fn error(body: &ErrorResponseBody) -> io::Result<SqlError> {
    let mut error = SqlError::default();
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'M' => error.message = text(),
            b'C' => error.code = text(),
            b'D' => error.detail = Some(text()),
            b'H' => error.hint = Some(text()),
            b'P' => error.position = text().parse().ok(),
            _ => {}
        }
    }
    Ok(error)
}
