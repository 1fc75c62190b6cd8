//! Sends what lies in the outbox.

use crate::app::{AppError, Platform, billing};
use crate::notify::{Attached, Mail, Transport, TransportError};
use crate::store::outbox::{self, DueRow};
use sqlx::postgres::PgListener;
use std::future::Future;
use std::pin::pin;
use time::Duration;

/// How long one process may take for the rows that it took.
const LEASE: Duration = Duration::minutes(2);

/// Rows taken at once.
const BATCH: i64 = 20;

/// Longest time until a row is seen whose notification was missed.
const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(2);

/// Attempts before giving up: the last one comes some seventeen hours after the first.
const ATTEMPTS_MAX: i32 = 12;

/// Sends mails until `shutdown` is done.
pub async fn run(platform: Platform, transport: Transport, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let mut listener = None;
    loop {
        if listener.is_none() {
            listener = listen(&platform).await;
        }
        match send_due(&platform, &transport).await {
            // A full batch: there may be more.
            Ok(sent) if sent >= BATCH => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the outbox was not read"),
        }
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
            alive = notified(&mut listener) => if !alive { listener = None },
        }
    }
}

async fn listen(platform: &Platform) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(platform.store.pool()).await.ok()?;
    listener.listen(outbox::CHANNEL).await.ok()?;
    Some(listener)
}

/// False when the connection is lost; without one, never.
async fn notified(listener: &mut Option<PgListener>) -> bool {
    match listener {
        Some(listener) => matches!(listener.try_recv().await, Ok(Some(_))),
        None => std::future::pending().await,
    }
}

/// Sends what is due now; the number of rows that were taken.
pub async fn send_due(platform: &Platform, transport: &Transport) -> Result<i64, AppError> {
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    let rows = outbox::claim(&mut tx, now, now + LEASE, BATCH).await?;
    tx.commit().await?;
    let mut taken = 0;
    for row in rows {
        taken += 1;
        let outcome = match serde_json::from_value::<Mail>(row.payload.clone()) {
            Ok(mail) => send(platform, transport, &row, &mail).await,
            Err(error) => Err(TransportError::Permanent(error.to_string())),
        };
        record(platform, &row, outcome).await?;
    }
    Ok(taken)
}

async fn send(
    platform: &Platform,
    transport: &Transport,
    row: &DueRow,
    mail: &Mail,
) -> Result<(), TransportError> {
    let file = match &mail.invoice {
        None => None,
        Some(about) => billing::mailed_pdf(platform, about.organization, about.id)
            .await
            .map_err(|error| TransportError::Temporary(error.to_string()))?,
    };
    let file = file.map(|file| Attached {
        name: file.name,
        content: file.content,
    });
    let file = file.as_ref();
    transport.send(row.id, mail, file, row.created_at).await
}

async fn record(
    platform: &Platform,
    row: &DueRow,
    outcome: Result<(), TransportError>,
) -> Result<(), AppError> {
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    match outcome {
        Ok(()) => outbox::sent(&mut tx, row.id, now).await?,
        Err(error) if !error.is_final() && row.attempts + 1 < ATTEMPTS_MAX => {
            if matches!(error, TransportError::LogIn(_)) {
                // No mail leaves until somebody acts.
                tracing::error!(id = %row.id, %error, "a mail will be tried again");
            } else {
                tracing::warn!(id = %row.id, %error, "a mail will be tried again");
            }
            let send_at = now + pause(row.attempts);
            outbox::retry(&mut tx, row.id, send_at, &error.to_string()).await?;
        }
        Err(error) => {
            tracing::error!(id = %row.id, %error, "a mail is given up");
            outbox::failed(&mut tx, row.id, now, &error.to_string()).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Doubles from half a minute on.
fn pause(attempts: i32) -> Duration {
    Duration::seconds(30 << attempts.clamp(0, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_tried_until_the_next_day() {
        let whole: Duration = (0..ATTEMPTS_MAX - 1).map(pause).sum();
        assert!(
            whole > Duration::hours(16) && whole < Duration::days(3),
            "{whole}"
        );
    }
}
