//! What becomes of an invoice after it is final: money comes, goes back, or was never owed.
//!
//! Whoever tells it may tell it twice: an entry of the ledger is booked once, by its reference.

use super::{InvoiceState, Standing, collector, gone};
use crate::app::{AppError, Platform, ProblemType};
use crate::store::EitherTx;
use crate::store::billing::invoice::{self, InvoiceRow};
use crate::store::billing::{credit_note as notes, customer, hold, ledger, number};
use lumadb_billing::invoice::{CreditNote, CreditedLine, Series};
use lumadb_billing::ledger::{Entry, Posted};
use lumadb_contract::id::{CreditNoteId, InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// Money came in for an invoice. `reference` names the payment where it was made.
pub async fn payment(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
    reference: &str,
    amount: Cents,
    at: OffsetDateTime,
) -> Result<InvoiceRow, AppError> {
    let row = locked(tx, organization, id).await?;
    if row.state == InvoiceState::Void {
        return Err(conflict("The invoice is void."));
    }
    let posted = ledger::post(tx, &Entry::payment(&row.head()?, reference, amount, at)?).await?;
    moved(tx, row, posted, at).await
}

/// Money of an invoice was given back, or a bank took it back. `reference` names that. Unless a
/// credit note said before that it is not owed, it is owed again.
pub async fn refund(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
    reference: &str,
    amount: Cents,
    at: OffsetDateTime,
) -> Result<InvoiceRow, AppError> {
    let row = locked(tx, organization, id).await?;
    let posted = ledger::post(tx, &Entry::refund(&row.head()?, reference, amount, at)?).await?;
    moved(tx, row, posted, at).await
}

/// An invoice was never owed: one of which nothing is paid.
pub async fn void(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
    at: OffsetDateTime,
) -> Result<InvoiceRow, AppError> {
    let row = locked(tx, organization, id).await?;
    if row.state == InvoiceState::Void {
        return Ok(row);
    }
    let is_open = matches!(row.state, InvoiceState::Final | InvoiceState::Overdue);
    if !is_open || row.outstanding_cents != row.total_cents {
        return Err(conflict(
            "Something of the invoice is paid or credited: issue a credit note.",
        ));
    }
    ledger::post(tx, &Entry::invoice_void(&row.head()?, at)?).await?;
    invoice::state_change(tx, &row, InvoiceState::Void, None, at).await?;
    settled(tx, organization, at).await?;
    let row = find(tx, organization, id).await?;
    let customer = customer::find(tx, organization).await?.ok_or_else(gone)?;
    if let Some(collector) = collector(platform, &customer) {
        collector.invoice_void(tx, &row).await?;
    }
    Ok(row)
}

/// Takes back a part of an invoice, or all of it. What was paid of that is kept for later invoices,
/// unless whoever collects pays it back and says so ([`refund`]).
#[expect(clippy::too_many_arguments, reason = "a document is made of this much")]
pub async fn credit_note(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
    lines: Vec<CreditedLine>,
    reason: &str,
    by: &str,
    at: OffsetDateTime,
) -> Result<CreditNote, AppError> {
    let row = locked(tx, organization, id).await?;
    let mut whole = row.head()?;
    whole.lines = invoice::lines(tx, organization, id).await?;
    let mut earlier = Vec::new();
    for note in notes::of_invoice(tx, organization, id).await? {
        earlier.push(note.note()?);
    }
    let note_id = CreditNoteId::from_uuid(platform.clock.new_uuid());
    let last = number::last(tx, Series::CreditNote).await?;
    let note = CreditNote::issue(note_id, &whole, &earlier, lines, last, at)
        .map_err(|error| conflict(&error.to_string()))?;
    number::give(tx, note.number).await?;
    notes::insert(tx, organization, &note, reason, by, at).await?;
    let posted = ledger::post(tx, &Entry::credit_note(&whole, &note, at)?).await?;
    let row = moved(tx, row, posted, at).await?;
    let customer = customer::find(tx, organization).await?.ok_or_else(gone)?;
    if let Some(collector) = collector(platform, &customer) {
        collector.credit_note(tx, &row, note_id).await?;
    }
    Ok(note)
}

/// Brings the invoice's state in line with what is outstanding now.
async fn moved(
    tx: &mut EitherTx<'_>,
    row: InvoiceRow,
    posted: Posted,
    at: OffsetDateTime,
) -> Result<InvoiceRow, AppError> {
    if posted == Posted::Already {
        return Ok(row);
    }
    let (organization, id) = (row.organization_id, row.id);
    let now = find(tx, organization, id).await?;
    let is_owed = now.outstanding_cents > Cents::ZERO;
    match now.state {
        InvoiceState::Final | InvoiceState::Overdue if !is_owed => {
            invoice::state_change(tx, &now, InvoiceState::Paid, None, at).await?;
        }
        InvoiceState::Paid if is_owed => {
            invoice::state_change(tx, &now, InvoiceState::Overdue, Some(at), at).await?;
            if customer_standing(tx, organization).await? == Standing::Good {
                customer::standing_change(tx, organization, Standing::Overdue, at).await?;
            }
        }
        _ => {}
    }
    settled(tx, organization, at).await?;
    find(tx, organization, id).await
}

/// Once nothing is overdue any more, the organization is in good standing again.
async fn settled(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    at: OffsetDateTime,
) -> Result<(), AppError> {
    if customer_standing(tx, organization).await? != Standing::Good
        && !invoice::any_overdue(tx, organization).await?
    {
        customer::standing_change(tx, organization, Standing::Good, at).await?;
        // What was held for not being paid goes on.
        hold::release(tx, organization, at).await?;
    }
    Ok(())
}

async fn customer_standing(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Standing, AppError> {
    let row = customer::find(tx, organization).await?.ok_or_else(gone)?;
    Ok(row.standing)
}

/// The invoice, while nothing else changes this organization's billing.
async fn locked(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<InvoiceRow, AppError> {
    customer::lock(tx, organization).await?.ok_or_else(gone)?;
    find(tx, organization, id).await
}

async fn find(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<InvoiceRow, AppError> {
    invoice::find(tx, organization, id)
        .await?
        .ok_or_else(|| AppError::not_found("invoice", id))
}

fn conflict(text: &str) -> AppError {
    AppError::rejected(ProblemType::Conflict, text)
}
