//! Stripe, which collects what the ledger says is owed.
//!
//! Every method is one request, sent once. A request that changes something carries the key that
//! the caller has stored before, so that sending it again has no second effect; what became of it
//! is one of four things ([`Failure`]), and an answer that cannot be read is *outcome unknown*,
//! never a failure. Answers are read for the few fields that decide something (`answer`): a field
//! or a value that is new in Stripe's API breaks nothing.
//!
//! It keeps no state, does not retry and must not know where keys and identifiers are kept.

mod answer;
mod checkout;
mod credit_note;
mod customer;
mod error;
mod event;
mod invoice;
mod lines;
mod signature;

pub use answer::{
    BalanceTransaction, Card, CheckoutSession, CreditNote, Customer, Invoice, Page, PaymentMethod,
    PortalSession, SetupIntent,
};
pub use checkout::NewCheckout;
pub use credit_note::NewCreditNote;
pub use customer::NewCustomer;
pub use error::Failure;
pub use event::{EVENT_TYPES, Event, InvalidEvent};
pub use invoice::NewInvoice;
pub use lines::{LineTax, SentLine, TooManyLines, sent_lines};
pub use signature::{Forged, verify};

use lumadb_contract::secret::Secret;
use std::time::Duration;
use stripe::{ClientBuilder, IdempotencyKey, RequestStrategy, StripeRequest};

/// Time for an answer. Stripe ends a request of its own after 80 seconds at the latest.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Objects on a page of a list; Stripe's own limit.
const PAGE_SIZE: i64 = 100;

/// Names the organization in the metadata of a customer.
pub const ORGANIZATION: &str = "lumadb_organization";

/// Names our invoice in the metadata of theirs.
pub const INVOICE: &str = "lumadb_invoice";

/// Names our credit note in the metadata of theirs.
pub const CREDIT_NOTE: &str = "lumadb_credit_note";

/// A key under which a request has one effect, for 24 hours.
#[derive(Debug, Clone)]
pub struct Key(IdempotencyKey);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key or the address of Stripe cannot be used: {0}")]
pub struct InvalidSetting(String);

impl Key {
    /// # Errors
    /// It is empty or longer than 255 characters.
    pub fn new(text: &str) -> Result<Self, InvalidSetting> {
        let key = IdempotencyKey::new(text);
        key.map(Self)
            .map_err(|error| InvalidSetting(error.to_string()))
    }
}

/// A client of one account. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Stripe {
    client: stripe::Client,
}

impl Stripe {
    /// A client with the account's secret key; `address` is that of a server that stands in for
    /// Stripe.
    ///
    /// # Errors
    /// The key cannot stand in a header, or the address is none.
    pub fn new(secret_key: &Secret, address: Option<&str>) -> Result<Self, InvalidSetting> {
        let mut builder = ClientBuilder::new(secret_key.expose())
            .timeout(ANSWER_TIMEOUT)
            .request_strategy(RequestStrategy::Once);
        if let Some(address) = address {
            builder = builder.url(format!("{}/", address.trim_end_matches('/')));
        }
        let client = builder.build();
        // The text of the error could repeat the key.
        let client = client.map_err(|_| InvalidSetting("not a header or not an address".into()))?;
        Ok(Self { client })
    }

    /// Sends a request that changes something.
    async fn write<A, R>(&self, key: &Key, request: &R) -> Result<A, Failure>
    where
        A: miniserde::Deserialize,
        R: StripeRequest,
    {
        let request = request.build().customize::<A>();
        let strategy = RequestStrategy::Idempotent(key.0.clone());
        let answer = request.request_strategy(strategy).send(&self.client).await;
        answer.map_err(Failure::from)
    }

    /// Sends a request that changes nothing.
    async fn read<A, R>(&self, request: &R) -> Result<A, Failure>
    where
        A: miniserde::Deserialize,
        R: StripeRequest,
    {
        let request = request.build().customize::<A>();
        request.send(&self.client).await.map_err(Failure::from)
    }
}
