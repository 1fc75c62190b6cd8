//! An invoice on its way: step by step, each with a key that was stored before.

use super::sender::Outcome;
use super::step::{Next, Owed, Step, next};
use super::{Collector, customer};
use crate::app::billing::{self, InvoiceState};
use crate::app::{AppError, ProblemType};
use crate::store::billing::invoice as store_invoice;
use crate::store::stripe::task::{self, TaskRow};
use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_billing::rating::{Line, LineKind};
use lumadb_billing::stripe::{Failure, Invoice, Key, NewInvoice, SentLine, sent_lines};
use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// How often a request is sent by one key before it is looked up whether that key holds an error:
/// then the request has had time enough to end.
const KEY_TRIES_MAX: i32 = 6;

/// What is sent.
struct Document {
    organization: OrganizationId,
    invoice: InvoiceId,
    owed: Owed,
    /// What our ledger still waits for.
    outstanding: Cents,
    lines: Vec<SentLine>,
    description: String,
    is_void: bool,
}

impl Document {
    /// Whether a credit note is still on its way to Stripe, or the invoice was paid otherwise: then
    /// nothing is charged.
    fn is_less_owed(&self, shown: Option<&Invoice>) -> bool {
        shown.is_some_and(|shown| {
            shown.total - shown.pre_payment_credit_notes_amount > self.outstanding.get()
        })
    }
}

/// Sends an invoice until it is paid, or something is in the way.
pub(super) async fn send(collector: &Collector, task: &TaskRow) -> Result<Outcome, AppError> {
    let document = read(collector, task).await?;
    if document.is_void && task.stripe_id.is_none() && task.step.is_none() {
        return Ok(Outcome::Done);
    }
    let customer = match customer::ensure(collector, document.organization).await? {
        Ok(customer) => customer,
        Err(outcome) => return Ok(outcome),
    };
    let mut task = task.clone();
    let mut shown = match look(collector, &task, &customer).await {
        Ok(shown) => shown,
        Err(failure) => return Ok(failure.into()),
    };
    loop {
        if let Some(shown) = &shown {
            known(collector, &mut task, shown).await?;
        }
        let step = match next(&document.owed, shown.as_ref()) {
            Next::Send(_) if document.is_void => return Ok(Outcome::Done),
            Next::Send(Step::Pay) if document.is_less_owed(shown.as_ref()) => {
                let why = "less is owed by the ledger than Stripe would charge";
                return Ok(Outcome::Later(why.into()));
            }
            Next::Send(step) => step,
            Next::Paid => {
                let paid = shown.ok_or_else(|| StoreError::Corrupt("nothing was paid".into()))?;
                book(collector, &document, &paid).await?;
                return Ok(Outcome::Done);
            }
            Next::Stuck(why) => return Ok(Outcome::Stuck(why)),
        };
        let key = key(collector, &mut task, step.name()).await?;
        match request(collector, step, &key, &customer, &document, shown.as_ref()).await {
            Ok(answer) => shown = Some(answer),
            Err(failure) => return refused(collector, step, shown.as_ref(), failure).await,
        }
    }
}

/// A payment whose refusal could not be read is known by the invoice's count of attempts.
async fn refused(
    collector: &Collector,
    step: Step,
    before: Option<&Invoice>,
    failure: Failure,
) -> Result<Outcome, AppError> {
    let (Step::Pay, Some(before), Failure::Unknown(_)) = (step, before, &failure) else {
        return Ok(failure.into());
    };
    match collector.account.stripe.invoice(&before.id).await {
        Ok(after) if after.is("open") && after.attempt_count > before.attempt_count => {
            Ok(Outcome::Refused("The bank refused the charge.".into()))
        }
        _ => Ok(failure.into()),
    }
}

/// How the invoice stands at Stripe.
async fn look(
    collector: &Collector,
    task: &TaskRow,
    customer: &str,
) -> Result<Option<Invoice>, Failure> {
    let stripe = &collector.account.stripe;
    match &task.stripe_id {
        Some(id) => stripe.invoice(id).await.map(Some),
        // A first request may have been sent, and its answer lost.
        None if task.step.is_some() => {
            let invoice = task.invoice_id.to_string();
            stripe.invoice_find(customer, &invoice).await
        }
        None => Ok(None),
    }
}

async fn read(collector: &Collector, task: &TaskRow) -> Result<Document, AppError> {
    let mut region = collector.platform.store.region().await?;
    let mut tx = EitherTx::Region(&mut region);
    let organization = task.organization_id;
    let row = store_invoice::find(&mut tx, organization, task.invoice_id).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("an invoice is gone".into()))?;
    let lines = store_invoice::lines(&mut tx, organization, task.invoice_id).await?;
    let balance = crate::store::stripe::report::paid_by_balance(&mut tx, task.invoice_id).await?;
    region.commit().await?;
    let mut invoice = row.head()?;
    invoice.lines = lines;
    let sent = sent_lines(&invoice, balance, describe, row.issued_at);
    let less = |amount: Cents| amount.get() - balance.get();
    Ok(Document {
        organization,
        invoice: row.id,
        owed: Owed {
            number: row.number.clone(),
            subtotal: less(row.net_cents),
            tax: row.tax_cents.get(),
            total: less(row.total_cents),
        },
        outstanding: row.outstanding_cents,
        lines: sent.map_err(AppError::internal)?,
        description: format!("LumaDB Cloud, {} {}", row.period.month(), row.period.year()),
        is_void: row.state == InvoiceState::Void,
    })
}

/// What a line says at Stripe; our invoice says more.
fn describe(line: &Line) -> String {
    let what = match line.kind {
        LineKind::Fee => "Plan".to_owned(),
        LineKind::FeeUnused => "Plan, unused time".to_owned(),
        LineKind::Usage(meter) => format!("Usage: {}", meter.name().replace('_', " ")),
        LineKind::Covered => "Usage that the plan covers".to_owned(),
        LineKind::Discount => "Discount".to_owned(),
        LineKind::AboveCap => "Above the spend cap, not charged".to_owned(),
        LineKind::Minimum => "Minimum".to_owned(),
    };
    match line.corrects {
        Some(period) => format!("{what} (correction of {})", period.start().date()),
        None => what,
    }
}

/// The key of a step, stored before the step is sent.
pub(super) async fn key(
    collector: &Collector,
    task: &mut TaskRow,
    step: &str,
) -> Result<Key, AppError> {
    let platform = &collector.platform;
    let now = platform.clock.now();
    let is_same = task.step.as_deref() == Some(step);
    let is_fresh = task
        .key_made_at
        .is_some_and(|at| now - at <= customer::KEY_LIFE);
    // The document was looked up just now: what the old key may have done, it has not.
    let goes_on = is_same && is_fresh && task.key_tries < KEY_TRIES_MAX;
    let kept = task.idempotency_key.clone().filter(|_| goes_on);
    let made_at = task.key_made_at.filter(|_| goes_on).unwrap_or(now);
    let key = kept.unwrap_or_else(|| format!("{step}-{}", platform.clock.new_uuid()));
    task.key_tries = if goes_on { task.key_tries + 1 } else { 1 };
    task.step = Some(step.to_owned());
    task.idempotency_key = Some(key.clone());
    task.key_made_at = Some(made_at);
    let mut tx = platform.store.region().await?;
    task::step(&mut tx, task.id, step, &key, made_at, task.key_tries).await?;
    tx.commit().await?;
    Key::new(&key).map_err(AppError::internal)
}

async fn request(
    collector: &Collector,
    step: Step,
    key: &Key,
    customer: &str,
    document: &Document,
    shown: Option<&Invoice>,
) -> Result<Invoice, Failure> {
    let stripe = &collector.account.stripe;
    let Some(shown) = shown else {
        let new = NewInvoice {
            customer: customer.to_owned(),
            invoice: document.invoice.to_string(),
            description: document.description.clone(),
        };
        return stripe.invoice_create(key, &new).await;
    };
    let id = shown.id.as_str();
    match step {
        Step::Create => Ok(shown.clone()),
        Step::AddLines => stripe.invoice_add_lines(key, id, &document.lines).await,
        Step::SetNumber => {
            stripe
                .invoice_set_number(key, id, &document.owed.number)
                .await
        }
        Step::Finalize => stripe.invoice_finalize(key, id).await,
        Step::Pay => stripe.invoice_pay(key, id).await,
    }
}

async fn known(collector: &Collector, task: &mut TaskRow, shown: &Invoice) -> Result<(), AppError> {
    let mut tx = collector.platform.store.region().await?;
    task::known(
        &mut tx,
        task.id,
        &shown.id,
        shown.hosted_invoice_url.as_deref(),
    )
    .await?;
    tx.commit().await?;
    task.stripe_id = Some(shown.id.clone());
    Ok(())
}

async fn book(collector: &Collector, document: &Document, paid: &Invoice) -> Result<(), AppError> {
    let now = collector.platform.clock.now();
    let mut tx = collector.platform.store.region().await?;
    paid_book(&mut tx, document.organization, document.invoice, paid, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Books that Stripe collected an invoice: what was not credited before. Less than the smallest
/// charge counts as collected: Stripe charges it with the next one.
pub(super) async fn paid_book(
    tx: &mut RegionTx,
    organization: OrganizationId,
    invoice: InvoiceId,
    paid: &Invoice,
    at: OffsetDateTime,
) -> Result<(), AppError> {
    let amount = paid.total - paid.pre_payment_credit_notes_amount;
    if amount <= 0 {
        return Ok(());
    }
    let reference = format!("stripe/{}", paid.id);
    let mut tx = EitherTx::Region(tx);
    let amount = Cents::new(amount);
    match billing::payment(&mut tx, organization, invoice, &reference, amount, at).await {
        Ok(_) => Ok(()),
        Err(AppError::Rejected {
            problem: ProblemType::Conflict,
            detail,
            ..
        }) => {
            tracing::error!(%invoice, detail, "money came for an invoice that is void");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Voids an invoice at Stripe.
pub(super) async fn void(collector: &Collector, task: &TaskRow) -> Result<Outcome, AppError> {
    let mut tx = collector.platform.store.region().await?;
    let sent = task::stripe_invoice(&mut tx, task.invoice_id).await?;
    tx.commit().await?;
    let Some(id) = sent else {
        return Ok(Outcome::Done);
    };
    let stripe = &collector.account.stripe;
    let shown = match stripe.invoice(&id).await {
        Ok(shown) => shown,
        Err(failure) => return Ok(failure.into()),
    };
    match shown.status.as_deref() {
        // A draft is final nowhere: nothing was asked for.
        Some("void" | "draft") => Ok(Outcome::Done),
        Some("open" | "uncollectible") => {
            let key = key(collector, &mut task.clone(), "void").await?;
            match stripe.invoice_void(&key, &id).await {
                Ok(_) => Ok(Outcome::Done),
                Err(failure) => Ok(failure.into()),
            }
        }
        other => {
            let status = other.unwrap_or("unknown");
            Ok(Outcome::Stuck(format!(
                "it is void here and {status} at Stripe"
            )))
        }
    }
}
