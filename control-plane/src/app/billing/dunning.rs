//! Invoices that are not paid: reminders, a grace, suspension.
//!
//! When an invoice is due, it is overdue and its owner is told; twice more within the grace. After
//! it the organization's databases are held. Once nothing is overdue any more they are what they
//! were ([`settle`](super::settle)). Nothing is deleted.

use super::{InvoiceState, Standing, close, gone, mail};
use crate::app::{AppError, Platform};
use crate::store::EitherTx;
use crate::store::billing::invoice::{self, InvoiceRow};
use crate::store::billing::{customer, hold};
use lumadb_contract::id::{InvoiceId, OrganizationId};
use time::Duration;

/// After how long overdue the next step comes: a second and a third mail, then suspension.
const STEPS: [Duration; 3] = [Duration::days(3), Duration::days(7), Duration::days(14)];

/// Shortest time between two steps.
const PAUSE_MIN: Duration = Duration::days(1);

const BATCH: i64 = 100;

/// Does what is due now; how much that was.
pub(super) async fn work(platform: &Platform) -> Result<usize, AppError> {
    let mut tx = platform.store.region().await?;
    let now = super::now(platform, &mut EitherTx::Region(&mut tx)).await?;
    let due = invoice::remind_due(&mut tx, now, BATCH).await?;
    tx.commit().await?;
    let mut done = 0;
    for (organization, id) in due {
        let stepped = step(platform, organization, id).await;
        done += usize::from(close::told(organization, stepped));
    }
    Ok(done)
}

async fn step(
    platform: &Platform,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<bool, AppError> {
    let mut region = platform.store.region().await?;
    let tx = &mut EitherTx::Region(&mut region);
    let customer = customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let now = super::now(platform, tx).await?;
    let Some(mut row) = invoice::find(tx, organization, id).await? else {
        return Ok(false);
    };
    if row.remind_at.is_none_or(|remind_at| now < remind_at) {
        return Ok(false);
    }
    if row.state == InvoiceState::Final {
        // It has been overdue since then, however late that is seen.
        let since = row.due_at;
        invoice::state_change(tx, &row, InvoiceState::Overdue, Some(since), since).await?;
        row = invoice::find(tx, organization, id)
            .await?
            .ok_or_else(gone)?;
    }
    if row.state != InvoiceState::Overdue {
        invoice::remind_change(tx, &row, row.reminders, None).await?;
        region.commit().await?;
        return Ok(true);
    }
    if customer.standing == Standing::Good {
        customer::standing_change(tx, organization, Standing::Overdue, now).await?;
    }
    let sent = usize::try_from(row.reminders).unwrap_or_default();
    if sent < STEPS.len() {
        // However late it is seen, there is time between two mails.
        let next = (row.state_since + STEPS[sent]).max(now + PAUSE_MIN);
        invoice::remind_change(tx, &row, row.reminders + 1, Some(next)).await?;
        let suspension = (row.state_since + STEPS[STEPS.len() - 1]).max(next);
        mail::invoice_overdue(platform, tx, &customer, &row, suspension).await?;
    } else {
        suspend(platform, tx, &row, now).await?;
        if customer.standing != Standing::Suspended {
            mail::suspended(platform, tx, &customer, &row).await?;
        }
    }
    region.commit().await?;
    Ok(true)
}

async fn suspend(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    row: &InvoiceRow,
    now: time::OffsetDateTime,
) -> Result<(), AppError> {
    let organization = row.organization_id;
    invoice::remind_change(tx, row, row.reminders, None).await?;
    customer::standing_change(tx, organization, Standing::Suspended, now).await?;
    hold::hold(tx, organization, platform.clock.now()).await?;
    tracing::warn!(%organization, invoice = row.number, "an organization is suspended");
    Ok(())
}
