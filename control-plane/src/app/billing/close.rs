//! The worker's part of billing: scheduled plans, periods that end, invoices that are not paid.
//!
//! Level-triggered: what is due is read from the tables, and each piece is one transaction that
//! finds out under the customer's lock whether it is still due. Killed anywhere, and however many do
//! it at once, each organization and period gets exactly one invoice.

use super::{InvoiceKind, NewInvoice, clock, dunning, gone, issue, plan_change, reckon};
use crate::app::usage::{Folded, Front, Hour, split_by_hour};
use crate::app::{AppError, Platform};
use crate::store::billing::invoice::InvoiceRow;
use crate::store::billing::{close, customer, plan_change as store_plan_change};
use crate::store::{EitherTx, RegionTx, usage};
use lumadb_billing::period::Period;
use lumadb_contract::id::OrganizationId;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use time::{Duration, OffsetDateTime};

/// How long after a period's end usage is waited for. What comes later is a correction of the next
/// invoice.
const PATIENCE: Duration = Duration::hours(12);

/// How many of each are taken from the tables at once.
const BATCH: i64 = 100;

/// How often it looks.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

/// Does what is due until `shutdown` is done.
pub async fn run(platform: Platform, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        let done = match work(&platform).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "billing did not get on");
                0
            }
        };
        let pause = if done == 0 {
            INTERVAL
        } else {
            std::time::Duration::ZERO
        };
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Does what is due now, at most a batch of each kind; how much that was. What fails for one
/// organization does not hold up the others.
pub async fn work(platform: &Platform) -> Result<usize, AppError> {
    let mut tx = platform.store.region().await?;
    let now = super::now(platform, &mut EitherTx::Region(&mut tx)).await?;
    let running = Period::of(now)?.start().date();
    let plans = store_plan_change::due(&mut tx, now, BATCH).await?;
    let patience_ended = patience_ended(platform, &mut tx, now).await?;
    let closings = close::due(&mut tx, running, patience_ended, BATCH).await?;
    tx.commit().await?;
    let mut done = 0;
    for organization in plans {
        let applied = plan_apply(platform, organization).await;
        done += usize::from(told(organization, applied));
    }
    for organization in closings {
        let closed = period_close(platform, organization).await;
        done += usize::from(told(organization, closed.map(|closed| closed.is_some())));
    }
    done += dunning::work(platform).await?;
    Ok(done)
}

/// Of periods that ended until then, usage is not waited for any longer. Where billing's time was
/// just moved past an end, nobody could say yet what was used till then.
async fn patience_ended(
    platform: &Platform,
    tx: &mut RegionTx,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, AppError> {
    let moved = clock::moved_patience(tx).await?;
    Ok(match moved {
        Some(until) if platform.clock.now() < until => OffsetDateTime::UNIX_EPOCH,
        _ => now - PATIENCE,
    })
}

/// Whether something was done; an error is logged here.
pub(super) fn told(organization: OrganizationId, outcome: Result<bool, AppError>) -> bool {
    outcome.unwrap_or_else(|error| {
        tracing::error!(%organization, %error, "billing of an organization did not get on");
        false
    })
}

async fn plan_apply(platform: &Platform, organization: OrganizationId) -> Result<bool, AppError> {
    let mut region = platform.store.region().await?;
    let tx = &mut EitherTx::Region(&mut region);
    let customer = customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let now = super::now(platform, tx).await?;
    let before = store_plan_change::open(tx, organization).await?;
    plan_change::apply_due(platform, tx, &customer, now).await?;
    let after = store_plan_change::open(tx, organization).await?;
    region.commit().await?;
    Ok(before.map(|open| open.id) != after.map(|open| open.id))
}

/// Closes the open period of an organization, if it has ended: exactly one invoice, and the next
/// period is open. `None`: there was nothing to close.
pub async fn period_close(
    platform: &Platform,
    organization: OrganizationId,
) -> Result<Option<InvoiceRow>, AppError> {
    let mut region = platform.store.region().await?;
    let tx = &mut EitherTx::Region(&mut region);
    let customer = customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let now = super::now(platform, tx).await?;
    let period = super::period_of(customer.open_period)?;
    if now < period.end() {
        return Ok(None);
    }
    plan_change::apply_due(platform, tx, &customer, now).await?;
    close::usage_lock(&mut region, organization).await?;
    held_fold(&mut region, organization, period.end()).await?;
    let tx = &mut EitherTx::Region(&mut region);
    let lines = reckon::lines(platform, tx, &customer, period, now).await?;
    let invoice = NewInvoice {
        organization,
        kind: InvoiceKind::Period,
        period,
        lines,
        at: now,
    };
    let row = issue(platform, tx, invoice).await?;
    let next = period.following()?.start().date();
    let cap = customer.spend_cap_cents;
    close::record(
        tx,
        organization,
        customer.open_period,
        next,
        row.id,
        cap,
        now,
    )
    .await?;
    region.commit().await?;
    tracing::info!(%organization, %period, number = row.number, "a period is closed");
    Ok(Some(row))
}

/// Folds what sleeping databases held up to the period's end into its hours.
async fn held_fold(
    tx: &mut RegionTx,
    organization: OrganizationId,
    until: OffsetDateTime,
) -> Result<(), AppError> {
    for (by, front) in close::held_before(tx, organization, until).await? {
        let mut hours: BTreeMap<OffsetDateTime, Hour> = BTreeMap::new();
        for (hour, us) in split_by_hour(front.at, until) {
            hours.entry(hour).or_default().storage_byte_us = u128::from(front.storage_bytes) * us;
        }
        let folded = Folded {
            fresh: Vec::new(),
            gaps: 0,
            front: Some(Front { at: until, ..front }),
            hours,
        };
        usage::store_folded(tx, by, &folded).await?;
    }
    Ok(())
}
