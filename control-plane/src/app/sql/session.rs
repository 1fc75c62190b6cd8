//! One session: open, run, cancel when it must end.

use super::wire::{Limits, Reader};
use super::{SqlAnswer, SqlError};
use crate::edge_door::{EdgeDoor, send};
use lumadb_contract::service_token::SQL_TOKEN_PARAMETER;
use postgres_protocol::message::frontend;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// How long a cancelled query may take to end before the session is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// Where a session goes and as whom.
pub(super) struct Session {
    pub(super) door: EdgeDoor,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) token: String,
}

/// Cancels the query when the caller goes away before its end.
struct CancelGuard {
    door: EdgeDoor,
    /// Process and secret of the session; `None` once there is nothing to cancel.
    key: Option<(i32, i32)>,
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            let door = self.door.clone();
            tokio::spawn(async move { cancel(&door, key).await });
        }
    }
}

async fn cancel(door: &EdgeDoor, (process, secret): (i32, i32)) {
    let sent = async {
        let mut stream = door.connect().await?;
        let mut packet = bytes::BytesMut::new();
        frontend::cancel_request(process, secret, &mut packet);
        send(&mut *stream, &packet).await
    };
    match tokio::time::timeout(CANCEL_GRACE, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a query was not cancelled"),
        Err(_) => tracing::warn!("a query was not cancelled in time"),
    }
}

impl Session {
    /// Runs statements until their end, or until `cancelled` or the time limit cuts them off.
    pub(super) async fn run(
        &self,
        sql: &str,
        limits: Limits,
        time_limit: Duration,
        cancelled: impl Future<Output = ()>,
    ) -> io::Result<SqlAnswer> {
        let deadline = Instant::now() + time_limit;
        let opened = tokio::time::timeout_at(deadline, self.open(limits));
        let mut reader = match opened.await {
            Ok(opened) => match opened? {
                Ok(reader) => reader,
                Err(error) => {
                    return Ok(SqlAnswer {
                        error: Some(error),
                        ..SqlAnswer::default()
                    });
                }
            },
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        };
        let mut guard = CancelGuard {
            door: self.door.clone(),
            key: reader.key,
        };
        let began = Instant::now();
        let mut packet = bytes::BytesMut::new();
        frontend::query(sql, &mut packet)?;
        send(&mut *reader.stream, &packet).await?;
        let mut answer = self.read(&mut reader, &guard, deadline, cancelled).await?;
        guard.key = None;
        answer.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(answer)
    }

    async fn open(&self, limits: Limits) -> io::Result<Result<Reader, SqlError>> {
        let mut stream = self.door.connect().await?;
        let mut packet = bytes::BytesMut::new();
        frontend::startup_message(
            [
                ("user", self.user.as_str()),
                ("database", self.database.as_str()),
                ("application_name", "LumaDB console"),
                ("client_encoding", "UTF8"),
                (SQL_TOKEN_PARAMETER, self.token.as_str()),
            ],
            &mut packet,
        )?;
        send(&mut *stream, &packet).await?;
        let mut reader = Reader::new(stream, limits);
        let refused = reader.start().await?;
        Ok(match refused {
            Some(error) => Err(error),
            None => Ok(reader),
        })
    }

    async fn read(
        &self,
        reader: &mut Reader,
        guard: &CancelGuard,
        deadline: Instant,
        cancelled: impl Future<Output = ()>,
    ) -> io::Result<SqlAnswer> {
        let cut = {
            let ended = reader.run();
            tokio::select! {
                ended = ended => return ended,
                () = cancelled => None,
                () = tokio::time::sleep_until(deadline) => Some("The time limit was reached."),
            }
        };
        if let Some(key) = guard.key {
            cancel(&self.door, key).await;
        }
        let mut answer = match tokio::time::timeout(CANCEL_GRACE, reader.run()).await {
            Ok(ended) => ended?,
            Err(_) => reader.cut_off("The query did not end after it was cancelled."),
        };
        if let (Some(detail), Some(error)) = (cut, &mut answer.error) {
            error.detail.get_or_insert_with(|| detail.to_owned());
        }
        Ok(answer)
    }
}
