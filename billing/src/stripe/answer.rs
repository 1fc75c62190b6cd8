//! What is read of Stripe's answers.

use miniserde::Deserialize;
use std::collections::BTreeMap;

/// A page of a list, the latest first.
#[derive(Debug, Clone, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub has_more: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Customer {
    pub id: String,
    /// Cents that are owed until the next invoice; below zero in the customer's favor.
    pub balance: Option<i64>,
    pub invoice_settings: Option<InvoiceSettings>,
    pub metadata: Option<BTreeMap<String, String>>,
    pub deleted: Option<bool>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct InvoiceSettings {
    pub default_payment_method: Option<String>,
}

impl Customer {
    pub fn default_payment_method(&self) -> Option<&str> {
        let settings = self.invoice_settings.as_ref()?;
        settings.default_payment_method.as_deref()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct PaymentMethod {
    pub id: String,
    pub customer: Option<String>,
    pub card: Option<Card>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Card {
    pub brand: String,
    pub last4: String,
    pub exp_month: i64,
    pub exp_year: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutSession {
    pub id: String,
    /// `open`, `complete`, `expired`.
    pub status: Option<String>,
    pub customer: Option<String>,
    pub client_reference_id: Option<String>,
    pub setup_intent: Option<String>,
    /// Only while it is open.
    pub url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SetupIntent {
    pub id: String,
    pub status: String,
    pub customer: Option<String>,
    pub payment_method: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PortalSession {
    pub url: String,
}

/// An invoice; amounts in cents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Invoice {
    pub id: String,
    pub customer: String,
    /// `draft`, `open`, `paid`, `uncollectible`, `void`.
    pub status: Option<String>,
    pub number: Option<String>,
    pub subtotal: i64,
    pub total_excluding_tax: Option<i64>,
    pub total: i64,
    pub amount_due: i64,
    pub amount_paid: i64,
    pub amount_remaining: i64,
    pub attempt_count: i64,
    /// Credited before it was paid.
    pub pre_payment_credit_notes_amount: i64,
    pub post_payment_credit_notes_amount: i64,
    /// Paid by other means, as somebody said at Stripe.
    pub amount_paid_off_stripe: Option<i64>,
    pub hosted_invoice_url: Option<String>,
    pub status_transitions: Option<Transitions>,
    pub lines: Lines,
    pub metadata: Option<BTreeMap<String, String>>,
}

/// When an invoice came to its state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Transitions {
    /// Seconds since 1970.
    pub paid_at: Option<i64>,
}

/// The first lines of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lines {
    pub data: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Line {
    pub id: String,
}

impl Invoice {
    pub fn is(&self, status: &str) -> bool {
        self.status.as_deref() == Some(status)
    }

    /// Tax in cents.
    pub fn tax(&self) -> i64 {
        self.total - self.total_excluding_tax.unwrap_or(self.total)
    }

    /// Our invoice, by its metadata.
    pub fn ours(&self) -> Option<&str> {
        self.metadata
            .as_ref()?
            .get(super::INVOICE)
            .map(String::as_str)
    }
}

/// A credit note; amounts in cents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CreditNote {
    pub id: String,
    pub invoice: String,
    /// `issued` or `void`.
    pub status: String,
    pub total: i64,
    /// Seconds since 1970.
    pub created: i64,
    pub refunds: Vec<NoteRefund>,
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A refund that came with a credit note, in cents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NoteRefund {
    pub amount_refunded: i64,
}

impl CreditNote {
    /// Cents that went back to the card.
    pub fn refunded(&self) -> i64 {
        self.refunds
            .iter()
            .map(|refund| refund.amount_refunded)
            .sum()
    }

    /// Our credit note, by its metadata.
    pub fn ours(&self) -> Option<&str> {
        let metadata = self.metadata.as_ref()?;
        metadata.get(super::CREDIT_NOTE).map(String::as_str)
    }
}

/// What moved on the account, in cents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BalanceTransaction {
    pub id: String,
    /// `charge`, `refund`, `adjustment`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub source: Option<String>,
    pub amount: i64,
    pub fee: i64,
    pub created: i64,
}

impl Invoice {
    /// Reads one out of Stripe's JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, super::Failure> {
        let read = miniserde::json::from_str(text);
        read.map_err(|_| super::Failure::Unknown("not an invoice of Stripe's".into()))
    }
}
