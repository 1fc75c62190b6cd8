//! Collecting through Stripe: what is owed leaves by an outbox, and what Stripe tells comes in by
//! an inbox.
//!
//! Invariants:
//! - Our ledger is the truth. What Stripe says is booked once, by its own name (`stripe/in_…`).
//! - What is to be sent is a row of the transaction that caused it ([`outbox`]); its step and the
//!   step's key are stored before the step is sent ([`sender`]). What the next step is follows from
//!   how the document stands at Stripe ([`step`], pure), never from what we remember.
//! - A key expires after 24 hours, and may hold an error until then: before another one is taken,
//!   the document is looked up.
//! - An event is a hint. It is stored as it came ([`webhook`]), and its object is fetched again
//!   before anything follows ([`event`]); its effect and the note that it is handled are one
//!   transaction.
//! - Stripe's absence holds up nothing else: nobody but the sender waits for it, save a customer
//!   who asks for one of its pages ([`page`]).
//!
//! It must not know plans or prices, nor decide what is owed.

mod credit_note;
mod customer;
mod event;
mod invoice;
mod outbox;
mod page;
mod reconcile;
mod sender;
mod step;
mod webhook;

pub use outbox::StripeCollection;
pub use page::{Card, CardPage, CardView, Page, RefusedCharge, card_get, card_page, portal_page};
pub use reconcile::{Difference, DifferenceKind, Report, reconcile};
pub use sender::{run, send_due};
pub use webhook::receive;

use crate::app::{AppError, Platform, ProblemType};
use lumadb_billing::stripe::Stripe;
use lumadb_contract::secret::Secret;

/// The account at Stripe.
#[derive(Debug, Clone)]
pub struct Account {
    pub stripe: Stripe,
    /// Signs webhooks; without it none is believed.
    pub webhook_secret: Option<Secret>,
}

/// A platform that has an account at Stripe.
#[derive(Debug, Clone)]
pub struct Collector {
    pub platform: Platform,
    pub account: Account,
}

impl Collector {
    /// # Errors
    /// The platform has none: nobody's card is charged.
    pub fn of(platform: &Platform) -> Result<Self, AppError> {
        let account = platform.stripe.clone();
        let account = account.ok_or_else(|| {
            let detail = "Cards are not taken here: invoices are paid by transfer.";
            AppError::rejected(ProblemType::Conflict, detail)
        })?;
        Ok(Self {
            platform: platform.clone(),
            account,
        })
    }
}
