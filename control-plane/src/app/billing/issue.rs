//! An invoice becomes final: numbered, booked, sent, handed to whoever collects. One transaction.

use super::{CollectionMode, InvoiceKind, InvoiceState, collector, gone, mail};
use crate::app::{AppError, Platform};
use crate::store::billing::invoice::{self as store_invoice, Addressee, InvoiceRow};
use crate::store::billing::{credit, customer, ledger, number};
use crate::store::{EitherTx, StoreError};
use lumadb_billing::invoice::{Invoice, Series};
use lumadb_billing::ledger::Entry;
use lumadb_billing::period::Period;
use lumadb_billing::rating::Line;
use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use time::{Duration, OffsetDateTime};

/// Within how long a transfer is expected.
const TRANSFER_TERM: Duration = Duration::days(14);
/// A card is charged at once; a charge that fails is tried again until then.
const CARD_TERM: Duration = Duration::days(1);

/// What an invoice is made of.
#[derive(Debug)]
pub struct NewInvoice {
    pub organization: OrganizationId,
    pub kind: InvoiceKind,
    /// The period that it closes or lies in.
    pub period: Period,
    pub lines: Vec<Line>,
    /// Billing's time.
    pub at: OffsetDateTime,
}

/// Makes an invoice of these lines final. The customer's row is locked from here on. What we owe the
/// customer from earlier invoices pays for it first, and one that is paid by that, or comes to
/// nothing, is paid.
pub async fn issue(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    new: NewInvoice,
) -> Result<InvoiceRow, AppError> {
    let organization = new.organization;
    let customer = customer::lock(tx, organization).await?.ok_or_else(gone)?;
    let credits = credit::remaining(tx, organization).await?;
    let collector = collector(platform, &customer);
    let collection = collector.map_or(CollectionMode::Manual, |collector| collector.mode());
    let id = InvoiceId::from_uuid(platform.clock.new_uuid());
    let tax = customer.tax.0.clone();
    let mut invoice = Invoice::draft(id, organization, new.lines, &credits, tax, new.at)?;
    let term = match collection {
        CollectionMode::Manual => TRANSFER_TERM,
        CollectionMode::Stripe => CARD_TERM,
    };
    // From here on others that number documents wait.
    let last = number::last(tx, Series::Invoice).await?;
    let given = invoice.finalize(last, new.at)?;
    number::give(tx, given).await?;
    store_invoice::insert(
        tx,
        &store_invoice::NewInvoice {
            invoice: &invoice,
            kind: new.kind,
            period: new.period.start().date(),
            collection,
            customer: Addressee {
                name: customer
                    .name
                    .clone()
                    .unwrap_or_else(|| customer.organization_name.clone()),
                address: customer.address.0.clone(),
                tax_id: customer.tax_id.clone(),
            },
            issued_at: new.at,
            due_at: new.at + term,
            remind_at: Some(new.at + term),
        },
    )
    .await?;
    credit::uses_insert(tx, organization, id, &invoice.credits).await?;
    let favors = ledger::in_favor(tx, organization).await?;
    ledger::post(tx, &Entry::invoice_final(&invoice, new.at)?).await?;
    pay_by_favors(tx, &invoice, &favors, new.at).await?;
    let mut row = find(tx, organization, id).await?;
    if row.outstanding_cents <= Cents::ZERO {
        store_invoice::state_change(tx, &row, InvoiceState::Paid, None, new.at).await?;
        row = find(tx, organization, id).await?;
    }
    if let Some(collector) = collector {
        collector.invoice_final(tx, &row).await?;
    }
    let is_silent = invoice.lines.iter().all(|line| line.amount.is_zero());
    if !is_silent {
        mail::invoice_final(platform, tx, &customer, &row).await?;
    }
    Ok(row)
}

/// Books what we owe the customer for earlier invoices as paid back and paid in for this one.
async fn pay_by_favors(
    tx: &mut EitherTx<'_>,
    invoice: &Invoice,
    favors: &[(InvoiceId, Cents)],
    at: OffsetDateTime,
) -> Result<(), AppError> {
    let mut left = invoice.totals.total;
    for (earlier, owed) in favors {
        let amount = left.min(*owed);
        if amount <= Cents::ZERO {
            break;
        }
        let source = find(tx, invoice.organization, *earlier).await?.head()?;
        let out = format!("balance/{}/{}", earlier, invoice.id);
        ledger::post(tx, &Entry::refund(&source, &out, amount, at)?).await?;
        ledger::post(tx, &Entry::payment(invoice, &out, amount, at)?).await?;
        left = left
            .checked_sub(amount)
            .ok_or_else(|| StoreError::Corrupt("an amount is out of range".into()))?;
    }
    Ok(())
}

async fn find(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<InvoiceRow, AppError> {
    store_invoice::find(tx, organization, id)
        .await?
        .ok_or_else(|| AppError::not_found("invoice", id))
}
