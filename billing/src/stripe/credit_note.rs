//! Credit notes, and with them refunds.

use super::answer::{BalanceTransaction, CreditNote, Page};
use super::{CREDIT_NOTE, Failure, Key, PAGE_SIZE, Stripe};
use lumadb_contract::money::Cents;
use std::collections::HashMap;
use stripe_billing::credit_note::{CreateCreditNote, ListCreditNote};
use stripe_core::balance_transaction::ListBalanceTransaction;
use stripe_types::RangeQueryTs;

/// What a credit note is made of.
#[derive(Debug, Clone)]
pub struct NewCreditNote {
    /// Stripe's invoice.
    pub invoice: String,
    /// Our credit note, as its identifier is written.
    pub credit_note: String,
    /// Our number for it, for the memo.
    pub number: String,
    /// With tax.
    pub total: Cents,
    /// `None`: the invoice is open, and less of it is owed. It was paid: so much goes back to the
    /// card, and the ledger keeps the rest in the customer's favor.
    pub refund: Option<Cents>,
}

impl Stripe {
    pub async fn credit_note_create(
        &self,
        key: &Key,
        new: &NewCreditNote,
    ) -> Result<CreditNote, Failure> {
        let total = new.total.get();
        let metadata = HashMap::from([(CREDIT_NOTE.to_owned(), new.credit_note.clone())]);
        let mut request = CreateCreditNote::new(&new.invoice)
            .amount(total)
            .memo(&new.number)
            .metadata(metadata);
        if let Some(refund) = new.refund {
            let refund = refund.get();
            if refund > 0 {
                request = request.refund_amount(refund);
            }
            if refund < total {
                request = request.out_of_band_amount(total - refund);
            }
        }
        self.write(key, &request).await
    }

    /// The credit note that was made for one of ours.
    pub async fn credit_note_find(
        &self,
        invoice: &str,
        credit_note: &str,
    ) -> Result<Option<CreditNote>, Failure> {
        let request = ListCreditNote::new().invoice(invoice).limit(PAGE_SIZE);
        let page: Page<CreditNote> = self.read(&request).await?;
        let mut notes = page.data.into_iter();
        Ok(notes.find(|note| note.ours() == Some(credit_note) && note.status != "void"))
    }

    /// Credit notes made since a moment, in seconds since 1970: one page.
    pub async fn credit_notes(
        &self,
        from: i64,
        after: Option<&str>,
    ) -> Result<Page<CreditNote>, Failure> {
        let mut request = ListCreditNote::new()
            .created(RangeQueryTs::gte(from))
            .limit(PAGE_SIZE);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        self.read(&request).await
    }

    /// What moved on the account since a moment: one page.
    pub async fn balance_transactions(
        &self,
        from: i64,
        after: Option<&str>,
    ) -> Result<Page<BalanceTransaction>, Failure> {
        let mut request = ListBalanceTransaction::new()
            .created(RangeQueryTs::gte(from))
            .limit(PAGE_SIZE);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        self.read(&request).await
    }
}
