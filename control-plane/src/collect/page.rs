//! Pages of Stripe's that a customer asks for, and the card that we know of.

use super::sender::Outcome;
use super::{Collector, customer};
use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform, ProblemType};
use crate::store::EitherTx;
use crate::store::stripe::{checkout, customer as store_customer, task};
use lumadb_billing::stripe::{Failure, Key, NewCheckout};
use lumadb_contract::id::{InvoiceId, OrganizationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds after which to ask again when Stripe does not answer.
const RETRY_SECONDS: u32 = 10;

/// Where the console shows an organization's billing.
const CONSOLE_PATH: &str = "/billing";

/// A page that Stripe hosts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// Where to send the browser.
    pub url: String,
}

/// A page on which a card is saved.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CardPage {
    /// Path of the console to come back to; `/billing` unless given.
    #[schema(max_length = 200)]
    pub return_path: Option<String>,
}

/// How an organization pays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CardView {
    /// The card that invoices are paid with; null: there is none.
    #[schema(required = true)]
    pub card: Option<Card>,
    /// Charges that the card's bank refused, and that were not made up for yet.
    pub refused_charges: Vec<RefusedCharge>,
}

/// What a customer knows a card by.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Card {
    #[schema(examples("visa"))]
    pub brand: String,
    #[schema(examples("4242"))]
    pub last4: String,
    pub exp_month: i64,
    pub exp_year: i64,
}

/// A charge that was refused.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RefusedCharge {
    pub invoice_id: InvoiceId,
    pub because: String,
    /// Where the invoice can be paid by hand, or the bank's question be answered.
    #[schema(required = true)]
    pub url: Option<String>,
}

/// A page on which a card is saved. When it was, changes of plan that wait for a way to pay come
/// into force.
pub async fn card_page(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    input: &CardPage,
) -> Result<Page, AppError> {
    authorize(platform, caller, organization, Action::BillingWrite).await?;
    let path = input.return_path.as_deref().unwrap_or(CONSOLE_PATH);
    if !path.starts_with('/') || path.starts_with("//") || path.len() > 200 {
        return Err(AppError::field("return_path", "is a path of the console"));
    }
    let collector = &Collector::of(platform)?;
    let customer = known(collector, organization).await?;
    let (id, now) = (platform.clock.new_uuid(), platform.clock.now());
    let mut tx = platform.store.tenant(organization).await?;
    checkout::insert(&mut EitherTx::Tenant(&mut tx), id, organization, now).await?;
    tx.commit().await?;
    let back = format!("{}{path}", platform.links.console_url);
    let mark = if path.contains('?') { '&' } else { '?' };
    let new = NewCheckout {
        customer,
        organization: organization.to_string(),
        reference: id.to_string(),
        success_url: format!("{back}{mark}card=saved"),
        cancel_url: back,
    };
    let key = Key::new(&format!("checkout-{id}")).map_err(AppError::internal)?;
    let session = collector.account.stripe.checkout_create(&key, &new).await;
    let session = session.map_err(|failure| unavailable(&failure))?;
    let mut tx = platform.store.tenant(organization).await?;
    let session_id = &session.id;
    checkout::opened(&mut EitherTx::Tenant(&mut tx), id, organization, session_id).await?;
    tx.commit().await?;
    let url = session.url;
    let url = url.ok_or_else(|| unavailable(&Failure::Unknown("no address".into())))?;
    Ok(Page { url })
}

/// A page on which cards are changed and invoices looked at.
pub async fn portal_page(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
) -> Result<Page, AppError> {
    authorize(platform, caller, organization, Action::BillingWrite).await?;
    let collector = &Collector::of(platform)?;
    let customer = known(collector, organization).await?;
    let back = format!("{}{CONSOLE_PATH}", platform.links.console_url);
    let key = format!("portal-{}", platform.clock.new_uuid());
    let key = Key::new(&key).map_err(AppError::internal)?;
    let made = collector
        .account
        .stripe
        .portal_create(&key, &customer, &back)
        .await;
    let made = made.map_err(|failure| unavailable(&failure))?;
    Ok(Page { url: made.url })
}

/// The card that we know of.
pub async fn card_get(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
) -> Result<CardView, AppError> {
    authorize(platform, caller, organization, Action::BillingRead).await?;
    Collector::of(platform)?;
    let mut tx = platform.store.tenant(organization).await?;
    let mut either = EitherTx::Tenant(&mut tx);
    let row = store_customer::find(&mut either, organization).await?;
    let refused = task::refused_charges(&mut either, organization).await?;
    tx.commit().await?;
    let card = row.and_then(|row| row.card).map(|card| Card {
        brand: card.0.brand,
        last4: card.0.last4,
        exp_month: card.0.exp_month,
        exp_year: card.0.exp_year,
    });
    let refused_charges = refused.into_iter().map(|refused| RefusedCharge {
        invoice_id: refused.invoice_id,
        because: refused.because,
        url: refused.hosted_url,
    });
    Ok(CardView {
        card,
        refused_charges: refused_charges.collect(),
    })
}

async fn known(collector: &Collector, organization: OrganizationId) -> Result<String, AppError> {
    match customer::ensure(collector, organization).await? {
        Ok(customer) => Ok(customer),
        Err(Outcome::Later(error) | Outcome::Stuck(error) | Outcome::Refused(error)) => {
            Err(unavailable(&Failure::Unknown(error)))
        }
        Err(Outcome::Done) => Err(unavailable(&Failure::Unknown("nothing was made".into()))),
    }
}

fn unavailable(failure: &Failure) -> AppError {
    tracing::warn!(%failure, "Stripe made no page");
    AppError::Rejected {
        problem: ProblemType::Unavailable,
        detail: "Stripe does not answer as it should. Nothing was changed: try again.".into(),
        errors: Vec::new(),
        retry_after_seconds: Some(RETRY_SECONDS),
        operation: None,
    }
}
