//! Who collects the money, behind one door.

use super::CollectionMode;
use crate::store::billing::invoice::InvoiceRow;
use crate::store::{EitherTx, StoreError};
use async_trait::async_trait;
use lumadb_contract::id::{CreditNoteId, OrganizationId};

/// Collects what customers of one mode owe. Nothing here reaches out: what is to be sent is written
/// into the transaction that it is called in, and leaves after the commit. What came of it is told
/// by [`payment`](super::payment) and its like.
#[async_trait]
pub trait Collection: std::fmt::Debug + Send + Sync {
    /// Whose invoices it collects; what new organizations begin with.
    fn mode(&self) -> CollectionMode;

    /// Whether there is a way to charge the organization, so that a plan with a fee can begin.
    async fn can_charge(
        &self,
        tx: &mut EitherTx<'_>,
        organization: OrganizationId,
    ) -> Result<bool, StoreError>;

    /// An invoice became final. Something is to be paid for it if
    /// [`outstanding_cents`](InvoiceRow::outstanding_cents) is above zero.
    async fn invoice_final(
        &self,
        tx: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
    ) -> Result<(), StoreError>;

    /// An invoice became void.
    async fn invoice_void(
        &self,
        tx: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
    ) -> Result<(), StoreError>;

    /// A credit note was issued for an invoice.
    async fn credit_note(
        &self,
        tx: &mut EitherTx<'_>,
        invoice: &InvoiceRow,
        note: CreditNoteId,
    ) -> Result<(), StoreError>;
}
