//! The books: what invoices, payments and credit notes mean in double entry.
//!
//! Entries are appended and never changed. Each one sums to zero over its postings, so the whole
//! always does; each has a key that says what happened, so that what comes twice is booked once, and
//! what comes again with other amounts is refused.
//!
//! Signs: a posting above zero is a debit. What a customer owes is above zero in `Receivable`; below
//! zero we owe it, as a balance for the next invoice.

mod entry;

pub use entry::{Entry, EntryKey, LedgerAccount, Posting};

use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("entry `{key}` sums to {sum}, not to zero")]
    Unbalanced { key: EntryKey, sum: Cents },
    #[error("entry `{0}` would book an amount that is not above zero")]
    NoAmount(EntryKey),
    #[error("entry `{0}` is booked already, with other amounts")]
    Differs(EntryKey),
    #[error("an amount is out of range")]
    OutOfRange,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    New,
    /// It was booked before, the same.
    Already,
}

/// Entries in the order in which they were booked.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    by_key: BTreeMap<EntryKey, usize>,
}

impl Ledger {
    /// Books an entry, once.
    ///
    /// # Errors
    /// Its key is booked with other amounts.
    pub fn post(&mut self, entry: Entry) -> Result<Posted, LedgerError> {
        if let Some(index) = self.by_key.get(entry.key()) {
            return if self.entries[*index].says_the_same(&entry) {
                Ok(Posted::Already)
            } else {
                Err(LedgerError::Differs(entry.key().clone()))
            };
        }
        self.by_key.insert(entry.key().clone(), self.entries.len());
        self.entries.push(entry);
        Ok(Posted::New)
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What an organization's account stands at. `None`: out of range.
    pub fn balance(&self, organization: OrganizationId, account: LedgerAccount) -> Option<Cents> {
        let own = self.entries.iter();
        let own = own.filter(|entry| entry.organization() == organization);
        Cents::checked_sum(own.flat_map(|entry| entry.amounts(account)))
    }

    /// What is still owed for an invoice. `None`: out of range.
    pub fn outstanding(&self, invoice: InvoiceId) -> Option<Cents> {
        let own = self.entries.iter();
        let own = own.filter(|entry| entry.invoice() == invoice);
        Cents::checked_sum(own.flat_map(|entry| entry.amounts(LedgerAccount::Receivable)))
    }
}
