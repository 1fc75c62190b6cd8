//! What is to be sent, written into the transaction that causes it.

use crate::app::billing::{Collection, CollectionMode};
use crate::clock::Clock;
use crate::store::billing::invoice::{self as store_invoice, InvoiceRow};
use crate::store::billing::ledger;
use crate::store::stripe::task::{self, TaskKind};
use crate::store::stripe::{customer, report};
use crate::store::{EitherTx, StoreError};
use async_trait::async_trait;
use lumadb_billing::ledger::{Entry, LedgerError};
use lumadb_contract::id::{CreditNoteId, OrganizationId};
use lumadb_contract::money::Cents;

/// Collects through Stripe.
#[derive(Debug, Clone)]
pub struct StripeCollection {
    clock: Clock,
}

impl StripeCollection {
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// Books as given back what an invoice was paid too much since this note; the amount.
    async fn refund_book(
        &self,
        tx: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
        note: CreditNoteId,
    ) -> Result<Cents, StoreError> {
        let found = store_invoice::find(tx, invoice.organization_id, invoice.id).await?;
        let row = found.ok_or_else(|| StoreError::Corrupt("an invoice is gone".into()))?;
        let corrupt = |error: LedgerError| StoreError::Corrupt(error.to_string());
        let too_much = Cents::ZERO
            .checked_sub(row.outstanding_cents)
            .unwrap_or(Cents::ZERO);
        // What earlier invoices had paid for did not come from the card, and does not go there.
        let too_much = too_much.min(report::by_card(tx, invoice.id).await?);
        if too_much <= Cents::ZERO {
            return Ok(Cents::ZERO);
        }
        let reference = format!("stripe/{note}");
        let now = self.clock.now();
        let entry = Entry::refund(&row.head()?, &reference, too_much, now).map_err(corrupt)?;
        ledger::post(tx, &entry).await?;
        Ok(too_much)
    }
}

#[async_trait]
impl Collection for StripeCollection {
    fn mode(&self) -> CollectionMode {
        CollectionMode::Stripe
    }

    async fn can_charge(
        &self,
        tx: &mut EitherTx<'_>,
        organization: OrganizationId,
    ) -> Result<bool, StoreError> {
        let customer = customer::find(tx, organization).await?;
        Ok(customer.is_some_and(|customer| customer.payment_method.is_some()))
    }

    async fn invoice_final(
        &self,
        tx: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
    ) -> Result<(), StoreError> {
        // What comes to nothing, or to our owing the customer, stays in our ledger.
        if invoice.outstanding_cents <= Cents::ZERO {
            return Ok(());
        }
        let organization = invoice.organization_id;
        let id = self.clock.new_uuid();
        let now = self.clock.now();
        customer::ensure(tx, organization, &format!("customer-{id}"), now).await?;
        task::insert(
            tx,
            id,
            organization,
            TaskKind::Invoice,
            invoice.id,
            None,
            now,
        )
        .await
    }

    async fn invoice_void(
        &self,
        tx: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
    ) -> Result<(), StoreError> {
        let (id, now) = (self.clock.new_uuid(), self.clock.now());
        let organization = invoice.organization_id;
        task::insert(tx, id, organization, TaskKind::Void, invoice.id, None, now).await
    }

    async fn credit_note(
        &self,
        tx: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
        note: CreditNoteId,
    ) -> Result<(), StoreError> {
        let (id, now) = (self.clock.new_uuid(), self.clock.now());
        let organization = invoice.organization_id;
        // What was paid too much goes back to the card, and is booked here: it must not pay for the
        // next invoice as well.
        let refund = self.refund_book(tx, invoice, note).await?;
        let note = Some((note, refund));
        task::insert(
            tx,
            id,
            organization,
            TaskKind::CreditNote,
            invoice.id,
            note,
            now,
        )
        .await
    }
}
