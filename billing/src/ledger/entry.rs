//! Entries, and how documents become entries.

use super::LedgerError;
use crate::invoice::{CreditNote, Invoice};
use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What is booked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    /// What customers owe.
    Receivable,
    /// What was earned, before credits.
    Revenue,
    /// Tax that we owe to a state.
    Tax,
    /// Money received.
    Cash,
    /// Credits that customers used.
    Credits,
}

impl LedgerAccount {
    pub const ALL: [Self; 5] = [
        Self::Receivable,
        Self::Revenue,
        Self::Tax,
        Self::Cash,
        Self::Credits,
    ];
}

/// Says what happened, so that it is booked once: `invoice/inv_…/final`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryKey(String);

impl std::fmt::Display for EntryKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// An amount on an account; above zero it is a debit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub account: LedgerAccount,
    pub amount: Cents,
}

/// Something that was booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    key: EntryKey,
    organization: OrganizationId,
    invoice: InvoiceId,
    at: OffsetDateTime,
    postings: Vec<Posting>,
}

impl Entry {
    /// An entry of an invoice; postings of nothing are left out.
    ///
    /// # Errors
    /// The postings do not sum to zero.
    fn new(
        key: String,
        invoice: &Invoice,
        at: OffsetDateTime,
        postings: &[(LedgerAccount, Cents)],
    ) -> Result<Self, LedgerError> {
        let key = EntryKey(key);
        let sum = Cents::checked_sum(postings.iter().map(|(_, amount)| *amount));
        let sum = sum.ok_or(LedgerError::OutOfRange)?;
        if !sum.is_zero() {
            return Err(LedgerError::Unbalanced { key, sum });
        }
        let postings = postings.iter().filter(|(_, amount)| !amount.is_zero());
        Ok(Self {
            key,
            organization: invoice.organization,
            invoice: invoice.id,
            at,
            postings: postings
                .map(|(account, amount)| Posting {
                    account: *account,
                    amount: *amount,
                })
                .collect(),
        })
    }

    /// An invoice became final: it is owed.
    ///
    /// # Errors
    /// An amount is out of range, or the invoice's totals contradict each other.
    pub fn invoice_final(invoice: &Invoice, at: OffsetDateTime) -> Result<Self, LedgerError> {
        let totals = invoice.totals;
        Self::new(
            format!("invoice/{}/final", invoice.id),
            invoice,
            at,
            &[
                (LedgerAccount::Receivable, totals.total),
                (LedgerAccount::Credits, totals.credits),
                (LedgerAccount::Revenue, negated(totals.lines)?),
                (LedgerAccount::Tax, negated(totals.tax)?),
            ],
        )
    }

    /// An invoice became void: it was never owed.
    ///
    /// # Errors
    /// As [`Self::invoice_final`].
    pub fn invoice_void(invoice: &Invoice, at: OffsetDateTime) -> Result<Self, LedgerError> {
        let totals = invoice.totals;
        Self::new(
            format!("invoice/{}/void", invoice.id),
            invoice,
            at,
            &[
                (LedgerAccount::Receivable, negated(totals.total)?),
                (LedgerAccount::Credits, negated(totals.credits)?),
                (LedgerAccount::Revenue, totals.lines),
                (LedgerAccount::Tax, totals.tax),
            ],
        )
    }

    /// Money came in for an invoice. `reference` names the payment where it was made.
    ///
    /// # Errors
    /// The amount is not above zero.
    pub fn payment(
        invoice: &Invoice,
        reference: &str,
        amount: Cents,
        at: OffsetDateTime,
    ) -> Result<Self, LedgerError> {
        let key = format!("payment/{reference}");
        Self::moved(
            key,
            invoice,
            amount,
            at,
            LedgerAccount::Cash,
            LedgerAccount::Receivable,
        )
    }

    /// Money of an invoice was given back, or a bank took it back. `reference` names that.
    ///
    /// # Errors
    /// The amount is not above zero.
    pub fn refund(
        invoice: &Invoice,
        reference: &str,
        amount: Cents,
        at: OffsetDateTime,
    ) -> Result<Self, LedgerError> {
        let key = format!("refund/{reference}");
        Self::moved(
            key,
            invoice,
            amount,
            at,
            LedgerAccount::Receivable,
            LedgerAccount::Cash,
        )
    }

    fn moved(
        key: String,
        invoice: &Invoice,
        amount: Cents,
        at: OffsetDateTime,
        to: LedgerAccount,
        from: LedgerAccount,
    ) -> Result<Self, LedgerError> {
        if amount <= Cents::ZERO {
            return Err(LedgerError::NoAmount(EntryKey(key)));
        }
        Self::new(key, invoice, at, &[(to, amount), (from, negated(amount)?)])
    }

    /// A credit note was issued: so much less is owed.
    ///
    /// # Errors
    /// An amount is out of range.
    pub fn credit_note(
        invoice: &Invoice,
        note: &CreditNote,
        at: OffsetDateTime,
    ) -> Result<Self, LedgerError> {
        Self::new(
            format!("credit_note/{}", note.id),
            invoice,
            at,
            &[
                (LedgerAccount::Receivable, negated(note.total)?),
                (LedgerAccount::Revenue, note.net),
                (LedgerAccount::Tax, note.tax),
            ],
        )
    }

    pub const fn key(&self) -> &EntryKey {
        &self.key
    }

    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub const fn invoice(&self) -> InvoiceId {
        self.invoice
    }

    pub const fn at(&self) -> OffsetDateTime {
        self.at
    }

    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }

    /// Whether both book the same, whenever that was.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (self.organization, self.invoice, &self.postings)
            == (other.organization, other.invoice, &other.postings)
    }

    pub(super) fn amounts(&self, account: LedgerAccount) -> impl Iterator<Item = Cents> {
        let own = self.postings.iter();
        own.filter(move |posting| posting.account == account)
            .map(|posting| posting.amount)
    }
}

fn negated(amount: Cents) -> Result<Cents, LedgerError> {
    amount.checked_neg().ok_or(LedgerError::OutOfRange)
}
