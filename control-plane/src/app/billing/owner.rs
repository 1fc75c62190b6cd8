//! What the platform's owner says: money came, a customer is taxed so, an agreement was made.
//!
//! It is said on the machine, by whoever may read the data folder; the API has no such caller.

use super::{CollectionMode, gone, issue, plan_change, reckon, settle};
use super::{InvoiceKind, NewInvoice};
use crate::app::{AppError, Platform, ProblemType};
use crate::store::billing::credit::{self, NewCredit};
use crate::store::billing::invoice::{self, InvoiceRow};
use crate::store::billing::subscription::{self, NewSubscription};
use crate::store::billing::{customer, ledger};
use crate::store::{EitherTx, RegionTx};
use lumadb_billing::invoice::{CreditNote, CreditedLine, Tax};
use lumadb_billing::period::Period;
use lumadb_billing::rating::{Agreement, fees_at_change, rate};
use lumadb_contract::id::{CreditId, InvoiceId, OrganizationId, SubscriptionId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// Who did it, in what is recorded.
const OWNER: &str = "system";

/// Money came for an invoice: all that is outstanding, unless an amount is named. Said twice, it is
/// booked once.
pub async fn owner_paid(
    platform: &Platform,
    number: &str,
    reference: &str,
    amount: Option<Cents>,
) -> Result<InvoiceRow, AppError> {
    let mut region = platform.store.region().await?;
    let (organization, id) = by_number(&mut region, number).await?;
    let tx = &mut EitherTx::Region(&mut region);
    let now = super::now(platform, tx).await?;
    customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let row = invoice::find(tx, organization, id)
        .await?
        .ok_or_else(gone)?;
    if amount.is_none() && ledger::is_paid_by(tx, organization, id, reference).await? {
        return Ok(row);
    }
    let amount = amount.unwrap_or(row.outstanding_cents);
    if amount <= Cents::ZERO {
        let text = format!("Nothing of {number} is to be paid.");
        return Err(AppError::rejected(ProblemType::Conflict, text));
    }
    let row = settle::payment(tx, organization, id, reference, amount, now).await?;
    region.commit().await?;
    Ok(row)
}

/// An invoice was never owed.
pub async fn owner_void(platform: &Platform, number: &str) -> Result<InvoiceRow, AppError> {
    let mut region = platform.store.region().await?;
    let (organization, id) = by_number(&mut region, number).await?;
    let tx = &mut EitherTx::Region(&mut region);
    let now = super::now(platform, tx).await?;
    let row = settle::void(platform, tx, organization, id, now).await?;
    region.commit().await?;
    Ok(row)
}

/// Takes back a part of a line.
pub async fn owner_credit_note(
    platform: &Platform,
    number: &str,
    line: CreditedLine,
    reason: &str,
) -> Result<CreditNote, AppError> {
    let mut region = platform.store.region().await?;
    let (organization, id) = by_number(&mut region, number).await?;
    let tx = &mut EitherTx::Region(&mut region);
    let now = super::now(platform, tx).await?;
    let lines = vec![line];
    let note =
        settle::credit_note(platform, tx, organization, id, lines, reason, OWNER, now).await?;
    region.commit().await?;
    Ok(note)
}

/// Grants money for later invoices.
pub async fn owner_credit(
    platform: &Platform,
    organization: OrganizationId,
    amount: Cents,
    reason: &str,
    expires_at: Option<OffsetDateTime>,
) -> Result<CreditId, AppError> {
    let mut region = platform.store.region().await?;
    let tx = &mut EitherTx::Region(&mut region);
    let now = super::now(platform, tx).await?;
    customer::find(tx, organization)
        .await?
        .ok_or_else(|| unknown(organization))?;
    let id = CreditId::from_uuid(platform.clock.new_uuid());
    let granted = NewCredit {
        id,
        organization,
        amount,
        reason,
        granted_at: now,
        granted_by: OWNER,
        expires_at,
    };
    credit::insert(&mut region, &granted).await?;
    region.commit().await?;
    Ok(id)
}

/// How an organization is taxed, or how its invoices are paid, from the next invoice on.
pub async fn owner_customer(
    platform: &Platform,
    organization: OrganizationId,
    tax: Option<Tax>,
    collection: Option<CollectionMode>,
) -> Result<(), AppError> {
    let mut region = platform.store.region().await?;
    let tx = &mut EitherTx::Region(&mut region);
    let known = customer::lock(tx, organization).await?;
    let known = known.ok_or_else(|| unknown(organization))?;
    let tax = tax.unwrap_or(known.tax.0);
    let collection = collection.unwrap_or(known.collection);
    customer::owner_change(&mut region, organization, &tax, collection).await?;
    region.commit().await?;
    Ok(())
}

/// Puts an organization on a plan with an agreement, from now on.
pub async fn owner_agree(
    platform: &Platform,
    organization: OrganizationId,
    plan: &str,
    agreement: &Agreement,
) -> Result<Option<InvoiceRow>, AppError> {
    let mut region = platform.store.region().await?;
    let tx = &mut EitherTx::Region(&mut region);
    let known = customer::lock(tx, organization).await?;
    let known = known.ok_or_else(|| unknown(organization))?;
    let now = super::now(platform, tx).await?;
    plan_change::apply_due(platform, tx, &known, now).await?;
    let book = platform
        .books
        .at(Period::of(now)?)
        .map_err(AppError::internal)?;
    let id = plan.parse().ok().filter(|id| book.plan(id).is_ok());
    if id.is_none() {
        return Err(AppError::field("plan", "there is no such plan"));
    }
    let new = NewSubscription {
        id: SubscriptionId::from_uuid(platform.clock.new_uuid()),
        organization,
        plan_id: plan,
        agreement,
        starts_at: now,
        created_by: OWNER,
    };
    subscription::replace(tx, &new).await?;
    let period = Period::of(now)?;
    let terms = reckon::terms(tx, organization).await?;
    // What cannot be rated is refused here, not at the month's end.
    let account = reckon::account(tx, &known, period.start(), now, now).await?;
    rate(&platform.books, &account, period)
        .map_err(|error| AppError::field("agreement", error.to_string()))?;
    let lines = fees_at_change(&platform.books, &terms)?;
    let invoice = if lines.is_empty() {
        None
    } else {
        let new = NewInvoice {
            organization,
            kind: InvoiceKind::Change,
            period,
            lines,
            at: now,
        };
        Some(issue::issue(platform, tx, new).await?)
    };
    region.commit().await?;
    Ok(invoice)
}

fn unknown(organization: OrganizationId) -> AppError {
    AppError::not_found("organization", organization)
}

async fn by_number(
    tx: &mut RegionTx,
    number: &str,
) -> Result<(OrganizationId, InvoiceId), AppError> {
    let found = invoice::by_number(tx, number).await?;
    found.ok_or_else(|| AppError::not_found("invoice", number))
}
