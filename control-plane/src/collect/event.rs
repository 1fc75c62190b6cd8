//! What follows from events: each says "look", and what is seen decides.

use super::invoice::paid_book;
use super::{Collector, webhook};
use crate::app::{AppError, ProblemType, billing};
use crate::store::stripe::customer::{self, CardRow};
use crate::store::stripe::event::{self, EventRow};
use crate::store::stripe::{checkout, task};
use crate::store::{EitherTx, RegionTx};
use lumadb_billing::stripe::{CheckoutSession, Event, Failure, Invoice, Key, PaymentMethod};
use lumadb_contract::id::OrganizationId;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Events handled at once.
const BATCH: i64 = 50;

/// Attempts before somebody must look.
const ATTEMPTS_MAX: i32 = 15;

/// How far behind the latest event the list is read: events may appear in it late.
const OVERLAP: Duration = Duration::hours(1);

/// How far back it is read when nothing is known; Stripe keeps events for 30 days.
const FIRST_LOOK: Duration = Duration::days(29);

/// How long handled events are kept.
const KEPT: Duration = Duration::days(90);

/// Pages of the list that are read at once.
const PAGES_MAX: usize = 100;

/// Why an event is not handled now.
#[derive(Debug, thiserror::Error)]
enum Unhandled {
    #[error(transparent)]
    Stripe(#[from] Failure),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// What was seen at Stripe.
enum Seen {
    Nothing,
    Invoice(Invoice),
    Card {
        session: CheckoutSession,
        method: PaymentMethod,
    },
    /// The customer's card was changed in the portal, or removed.
    Customer {
        customer: String,
        method: Option<PaymentMethod>,
    },
}

/// Handles the events that are due; how many.
pub(super) async fn handle_due(collector: &Collector) -> Result<usize, AppError> {
    let platform = &collector.platform;
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    let due = event::due(&mut tx, now, BATCH).await?;
    tx.commit().await?;
    let count = due.len();
    for row in due {
        if let Err(error) = handle(collector, &row).await {
            let gave_up = row.attempts + 1 >= ATTEMPTS_MAX;
            if gave_up {
                tracing::error!(event = row.id, kind = row.kind, %error, "an event is given up");
            } else {
                tracing::warn!(event = row.id, kind = row.kind, %error, "an event waits");
            }
            let pause = Duration::seconds(1 << row.attempts.clamp(0, 12));
            let failed_at = gave_up.then_some(now);
            let mut tx = platform.store.region().await?;
            event::retry(&mut tx, &row.id, now + pause, failed_at, &error.to_string()).await?;
            tx.commit().await?;
        }
    }
    Ok(count)
}

/// Fetches what the event is about, and then writes what follows and that it is handled, at once.
async fn handle(collector: &Collector, row: &EventRow) -> Result<(), Unhandled> {
    let platform = &collector.platform;
    let raw = row.payload.to_string();
    let read = Event::parse(raw.as_bytes());
    let read =
        read.map_err(|error| AppError::rejected(ProblemType::InvalidRequest, error.to_string()))?;
    let seen = see(collector, &read, row.attempts).await?;
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    if !event::handled(&mut tx, &row.id, now).await? {
        return Ok(());
    }
    follow(collector, &mut tx, seen, now).await?;
    tx.commit().await?;
    Ok(())
}

async fn see(collector: &Collector, event: &Event, attempts: i32) -> Result<Seen, Failure> {
    let stripe = &collector.account.stripe;
    match event.kind.as_str() {
        "checkout.session.completed" => {
            let session = stripe.checkout(&event.object).await?;
            let Some(intent) = &session.setup_intent else {
                return Ok(Seen::Nothing);
            };
            let intent = stripe.setup_intent(intent).await?;
            let (Some(method), Some(customer)) = (intent.payment_method, intent.customer) else {
                return Ok(Seen::Nothing);
            };
            // Checkout in setup mode makes no card the default. To do so twice changes nothing, and
            // a key may hold an error.
            let key = Key::new(&format!("default-{}-{attempts}", session.id));
            let key = key.map_err(|error| Failure::Unknown(error.to_string()))?;
            stripe
                .customer_set_default(&key, &customer, &method)
                .await?;
            let method = stripe.payment_method(&method).await?;
            Ok(Seen::Card { session, method })
        }
        kind if kind.starts_with("invoice.") => match stripe.invoice(&event.object).await {
            Ok(invoice) => Ok(Seen::Invoice(invoice)),
            // A draft that was removed.
            Err(Failure::Refused { status: 404, .. }) => Ok(Seen::Nothing),
            Err(failure) => Err(failure),
        },
        "payment_method.attached" | "payment_method.detached" | "customer.updated" => {
            let customer = if event.kind == "customer.updated" {
                Some(event.object.clone())
            } else {
                event.customer.clone()
            };
            let Some(customer) = customer else {
                return Ok(Seen::Nothing);
            };
            let shown = stripe.customer(&customer).await?;
            let method = match shown.default_payment_method() {
                Some(method) => Some(stripe.payment_method(method).await?),
                None => None,
            };
            Ok(Seen::Customer { customer, method })
        }
        kind if kind.starts_with("charge.dispute.") => {
            tracing::error!(
                dispute = event.object,
                kind,
                "a payment is disputed: look at it"
            );
            Ok(Seen::Nothing)
        }
        // Notes made by hand are found by the comparison at night.
        _ => Ok(Seen::Nothing),
    }
}

async fn follow(
    collector: &Collector,
    tx: &mut RegionTx,
    seen: Seen,
    now: OffsetDateTime,
) -> Result<(), AppError> {
    match seen {
        Seen::Nothing => Ok(()),
        Seen::Invoice(shown) => {
            let found = task::of_stripe_invoice(tx, &shown.id).await?;
            let Some((task, organization, invoice)) = found.filter(|_| shown.is("paid")) else {
                return Ok(());
            };
            paid_book(tx, organization, invoice, &shown, now).await?;
            task::done(tx, task, now).await?;
            Ok(())
        }
        Seen::Customer { customer, method } => {
            let mut tx = EitherTx::Region(tx);
            match customer::owner(&mut tx, &customer).await? {
                Some(organization) => {
                    card_changed(&mut tx, organization, method.as_ref(), now).await
                }
                None => Ok(()),
            }
        }
        Seen::Card { session, method } => {
            let mut either = EitherTx::Region(tx);
            let customer = session.customer.unwrap_or_default();
            let owner = customer::owner(&mut either, &customer).await?;
            let page = session.client_reference_id;
            let page = page.and_then(|page| Uuid::parse_str(&page).ok());
            let (Some(organization), Some(page)) = (owner, page) else {
                tracing::warn!(
                    session = session.id,
                    "a page for a card that we did not ask for"
                );
                return Ok(());
            };
            checkout::done(&mut either, page, organization, now).await?;
            card_changed(&mut either, organization, Some(&method), now).await?;
            // What came of the change is an invoice, a mail, or nothing.
            billing::plan_activate(&collector.platform, &mut either, organization).await?;
            Ok(())
        }
    }
}

async fn card_changed(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    method: Option<&PaymentMethod>,
    now: OffsetDateTime,
) -> Result<(), AppError> {
    let card = method.and_then(|method| method.card.as_ref());
    let card = card.map(|card| CardRow {
        brand: card.brand.clone(),
        last4: card.last4.clone(),
        exp_month: card.exp_month,
        exp_year: card.exp_year,
    });
    let before = customer::find(tx, organization).await?;
    let before = before.and_then(|row| row.payment_method);
    let id = method.map(|method| method.id.as_str());
    customer::card_change(tx, organization, id, card.as_ref(), now).await?;
    if id.is_some() && before.as_deref() != id {
        task::card_changed(tx, organization, now).await?;
    }
    Ok(())
}

/// Stores events of which no webhook came, the oldest first.
pub(super) async fn backfill(collector: &Collector) -> Result<(), AppError> {
    let platform = &collector.platform;
    let now = platform.clock.now();
    let mut tx = platform.store.region().await?;
    event::purge(&mut tx, now - KEPT).await?;
    let latest = event::latest(&mut tx).await?;
    tx.commit().await?;
    let from = latest.map_or(now - FIRST_LOOK, |latest| latest - OVERLAP);
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let listed = collector
            .account
            .stripe
            .events(from.unix_timestamp(), after.as_deref());
        let page = listed.await.map_err(AppError::internal)?;
        let last = page.data.last().map(|raw| Event::parse(raw.as_bytes()));
        after = last.and_then(Result::ok).map(|event| event.id);
        found.extend(page.data);
        if !page.has_more || after.is_none() {
            break;
        }
    }
    let mut missed = 0_u32;
    for raw in found.iter().rev() {
        let payload = serde_json::from_str(raw).map_err(AppError::internal)?;
        missed += u32::from(webhook::store(platform, raw.as_bytes(), &payload, "list").await?);
    }
    if missed > 0 {
        tracing::info!(missed, "events of which no webhook came");
    }
    Ok(())
}
