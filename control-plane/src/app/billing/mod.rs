//! Billing: who pays, under which plan since when, what was invoiced, and what was paid.
//!
//! The crate `billing` calculates; here its values are read from the tables and its results written
//! to them. What a change means for an organization's billing is one transaction that holds the lock
//! on its row of `billing_customers`: plan, invoice, number, ledger, mail and what the collector
//! keeps commit together or not at all.
//!
//! Time is billing's ([`clock`]): the clock's, unless a developer moved it ahead.
//!
//! It must not know who collects the money: that stands behind [`Collection`].

mod account;
mod billed_database;
mod clock;
mod close;
mod collection;
mod credit_note;
mod document;
mod draft;
mod dunning;
mod invoice;
mod issue;
mod line_hours;
mod mail;
mod owner;
mod plan_change;
pub(super) mod quote;
pub(super) mod reckon;
mod settle;
mod start;
mod state;

pub use account::{Address, BillingAccount, BillingUpdate, TaxView, billing_get, billing_update};
pub use billed_database::BilledDatabase;
pub use clock::{BillingClock, BillingClockAdvance, clock_advance, clock_get, now};
pub use close::{period_close, run, work};
pub use collection::Collection;
pub use credit_note::{CreditNoteLine, CreditNoteView, credit_note_list};
pub use document::{
    File, MonthQuery, Seller, Table, cost_export, invoice_document, invoice_pdf, mailed_pdf,
};
pub use draft::{DraftQuery, Forecast, InvoiceDraft, SpendCap, forecast_get, invoice_draft_get};
pub use invoice::{
    Invoice, InvoiceCredit, InvoiceLine, InvoiceLineKind, InvoiceShare, InvoiceSummary,
    InvoiceUsage, invoice_get, invoice_list, invoice_read,
};
pub use issue::{NewInvoice, issue};
pub use line_hours::{LineHour, LineHours, LineHoursQuery, line_hours_get};
pub use lumadb_billing::document::Party;
pub use owner::{
    owner_agree, owner_credit, owner_credit_note, owner_customer, owner_paid, owner_void,
};
pub use plan_change::{
    PlanChange, PlanChangeCreate, PlanChanged, plan_activate, plan_change_cancel,
    plan_change_create, plan_change_list,
};
pub use quote::{Asked, ChangeQuote, DryRun, QuotaName, QuotaStanding};
pub use reckon::cap_standing;
pub use settle::{credit_note, payment, refund, void};
pub(super) use start::start;
pub use state::{CollectionMode, InvoiceKind, InvoiceState, PlanChangeState, Standing};

use crate::app::{AppError, Platform};
use crate::store::StoreError;
use crate::store::billing::customer::CustomerRow;
use lumadb_billing::invoice::InvoiceError;
use lumadb_billing::ledger::LedgerError;
use lumadb_billing::period::{InvalidPeriod, Period};
use lumadb_billing::rating::RatingError;
use std::sync::Arc;
use time::Date;

/// The period that begins on this day.
pub(in crate::app) fn period_of(first: Date) -> Result<Period, AppError> {
    Ok(Period::of(first.midnight().assume_utc())?)
}

/// Who collects from this customer; `None`: the platform's owner, by hand.
fn collector<'a>(
    platform: &'a Platform,
    customer: &CustomerRow,
) -> Option<&'a Arc<dyn Collection>> {
    let collection = platform.collection.as_ref()?;
    (customer.collection == collection.mode()).then_some(collection)
}

fn gone() -> AppError {
    StoreError::Corrupt("an organization without a row of its billing".into()).into()
}

macro_rules! internal {
    ($($error:ident),+) => {
        $(
            impl From<$error> for AppError {
                fn from(error: $error) -> Self {
                    Self::internal(error)
                }
            }
        )+
    };
}

internal!(RatingError, InvoiceError, LedgerError, InvalidPeriod);
