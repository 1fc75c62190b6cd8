//! Each night: is at Stripe what is in our ledger, to the cent?

use super::Collector;
use crate::app::AppError;
use crate::store::stripe::report::{self, OurNoteRow, OursRow};
use futures::future::BoxFuture;
use lumadb_billing::stripe::{BalanceTransaction, CreditNote, Failure, Invoice, Page};
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::Duration;

/// How far back is compared.
const WINDOW: Duration = Duration::days(62);

/// How far back charges are compared with invoices that were paid: less than what is listed, so that
/// an invoice which was paid late is there.
const BALANCE_WINDOW: Duration = Duration::days(30);

/// What was handed over so lately may still be on its way.
const ON_ITS_WAY: Duration = Duration::hours(2);

/// Pages of a list that are read.
const PAGES_MAX: usize = 2000;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// Stripe does not have it.
    Missing,
    /// Its amount is another one there.
    Amount,
    /// What Stripe collected for it is not what the ledger says.
    Received,
    /// What went back to the card for it is another amount there.
    Refunded,
    /// What moved on the account is not what the invoices or credit notes there say.
    Balance,
    /// Stripe has it twice.
    Twice,
    /// Stripe has it, and we know of none.
    Unknown,
}

/// A difference, with the document by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// Our number, or Stripe's identifier where there is none.
    pub document: String,
    pub ours_cents: Cents,
    pub theirs_cents: Cents,
}

/// A night's comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub invoices_compared: usize,
    pub differences: Vec<Difference>,
}

/// Compares, keeps the report, and raises the alarm: an error in the log for each difference.
pub async fn reconcile(collector: &Collector) -> Result<Report, AppError> {
    let platform = &collector.platform;
    let now = platform.clock.now();
    let (from, until) = (now - WINDOW, now - ON_ITS_WAY);
    let mut tx = platform.store.region().await?;
    let ours = report::ours(&mut tx, from, until).await?;
    let our_notes = report::our_notes(&mut tx, from, until).await?;
    tx.commit().await?;
    let stripe = &collector.account.stripe;
    // A little more of theirs: their clock is another.
    let since = (from - Duration::DAY).unix_timestamp();
    let theirs = all(
        |after| Box::pin(async move { stripe.invoices(since, after.as_deref()).await }),
        |invoice: &Invoice| invoice.id.clone(),
    )
    .await?;
    let their_notes = all(
        |after| Box::pin(async move { stripe.credit_notes(since, after.as_deref()).await }),
        |note: &CreditNote| note.id.clone(),
    )
    .await?;
    let balance_from = (until - BALANCE_WINDOW).unix_timestamp();
    let moved = all(
        |after| {
            Box::pin(async move {
                let moved = stripe.balance_transactions(balance_from, after.as_deref());
                moved.await
            })
        },
        |moved: &BalanceTransaction| moved.id.clone(),
    )
    .await?;
    let mut differences = invoices_compare(&ours, &theirs);
    differences.extend(balance_compare(
        &theirs,
        &moved,
        balance_from,
        until.unix_timestamp(),
    ));
    differences.extend(notes_compare(&our_notes, &their_notes));
    differences.extend(refunds_compare(
        &their_notes,
        &moved,
        balance_from,
        until.unix_timestamp(),
    ));
    for difference in &differences {
        let Difference {
            kind,
            document,
            ours_cents,
            theirs_cents,
        } = difference;
        tracing::error!(?kind, document, %ours_cents, %theirs_cents, "the ledger and Stripe differ");
    }
    let made = Report {
        invoices_compared: ours.len(),
        differences,
    };
    let text = serde_json::to_value(&made.differences).map_err(AppError::internal)?;
    let count = i32::try_from(made.invoices_compared).unwrap_or(i32::MAX);
    let mut tx = platform.store.region().await?;
    report::insert(&mut tx, platform.clock.new_uuid(), now, count, &text).await?;
    tx.commit().await?;
    Ok(made)
}

/// All pages of a list; each page is asked for by the last identifier before it.
async fn all<'a, T>(
    page: impl Fn(Option<String>) -> BoxFuture<'a, Result<Page<T>, Failure>>,
    id: fn(&T) -> String,
) -> Result<Vec<T>, AppError> {
    let mut found: Vec<T> = Vec::new();
    for _ in 0..PAGES_MAX {
        let after = found.last().map(id);
        let read = page(after).await.map_err(AppError::internal)?;
        let is_last = !read.has_more || read.data.is_empty();
        found.extend(read.data);
        if is_last {
            return Ok(found);
        }
    }
    Err(AppError::internal(std::io::Error::other(
        "the list at Stripe does not end",
    )))
}

fn invoices_compare(ours: &[OursRow], theirs: &[Invoice]) -> Vec<Difference> {
    let mut by_ours: BTreeMap<&str, Vec<&Invoice>> = BTreeMap::new();
    let mut differences = Vec::new();
    for invoice in theirs.iter().filter(|invoice| !invoice.is("void")) {
        match invoice.ours() {
            Some(ours) => by_ours.entry(ours).or_default().push(invoice),
            None => differences.push(Difference {
                kind: DifferenceKind::Unknown,
                document: invoice.number.clone().unwrap_or_else(|| invoice.id.clone()),
                ours_cents: Cents::ZERO,
                theirs_cents: Cents::new(invoice.total),
            }),
        }
    }
    for own in ours {
        let id = own.invoice_id.to_string();
        let found = by_ours
            .get(id.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut differ = |kind, ours_cents, theirs: i64| {
            differences.push(Difference {
                kind,
                document: own.number.clone(),
                ours_cents,
                theirs_cents: Cents::new(theirs),
            });
        };
        if own.is_void {
            if let Some(paid) = found.iter().find(|invoice| invoice.is("paid")) {
                differ(DifferenceKind::Received, own.received_cents, paid.total);
            }
            continue;
        }
        let [shown, rest @ ..] = found else {
            differ(DifferenceKind::Missing, own.sent_cents, 0);
            continue;
        };
        if !rest.is_empty() {
            let sum = found.iter().map(|invoice| invoice.total).sum();
            differ(DifferenceKind::Twice, own.sent_cents, sum);
        }
        if shown.total != own.sent_cents.get() {
            differ(DifferenceKind::Amount, own.sent_cents, shown.total);
        }
        let collected = if shown.is("paid") {
            shown.total - shown.pre_payment_credit_notes_amount
        } else {
            0
        };
        if collected != own.received_cents.get() {
            differ(DifferenceKind::Received, own.received_cents, collected);
        }
    }
    differences
}

/// Are the invoices that were paid in a time what cards were charged in it?
fn balance_compare(
    theirs: &[Invoice],
    moved: &[BalanceTransaction],
    from: i64,
    until: i64,
) -> Option<Difference> {
    let paid_at = |invoice: &Invoice| invoice.status_transitions.as_ref()?.paid_at;
    let paid: i64 = theirs
        .iter()
        .filter(|invoice| paid_at(invoice).is_some_and(|at| (from..until).contains(&at)))
        .map(|invoice| invoice.amount_paid - invoice.amount_paid_off_stripe.unwrap_or_default())
        .sum();
    let charged: i64 = moved
        .iter()
        .filter(|moved| matches!(moved.kind.as_str(), "charge" | "payment"))
        .filter(|moved| (from..until).contains(&moved.created))
        .map(|moved| moved.amount)
        .sum();
    (paid != charged).then(|| Difference {
        kind: DifferenceKind::Balance,
        document: "charges".into(),
        ours_cents: Cents::new(paid),
        theirs_cents: Cents::new(charged),
    })
}

/// Is what went back to cards in a time what the credit notes of that time gave back? A refund
/// that somebody made by hand is not.
fn refunds_compare(
    notes: &[CreditNote],
    moved: &[BalanceTransaction],
    from: i64,
    until: i64,
) -> Option<Difference> {
    let given: i64 = notes
        .iter()
        .filter(|note| note.status != "void" && (from..until).contains(&note.created))
        .map(CreditNote::refunded)
        .sum();
    let refunded: i64 = moved
        .iter()
        .filter(|moved| matches!(moved.kind.as_str(), "refund" | "payment_refund"))
        .filter(|moved| (from..until).contains(&moved.created))
        .map(|moved| -moved.amount)
        .sum();
    (given != refunded).then(|| Difference {
        kind: DifferenceKind::Balance,
        document: "refunds".into(),
        ours_cents: Cents::new(given),
        theirs_cents: Cents::new(refunded),
    })
}

fn notes_compare(ours: &[OurNoteRow], theirs: &[CreditNote]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for note in theirs.iter().filter(|note| note.ours().is_none()) {
        differences.push(Difference {
            kind: DifferenceKind::Unknown,
            document: note.id.clone(),
            ours_cents: Cents::ZERO,
            theirs_cents: Cents::new(note.total),
        });
    }
    for own in ours.iter().filter(|own| own.is_expected) {
        let id = own.credit_note_id.to_string();
        let found: Vec<&CreditNote> = theirs
            .iter()
            .filter(|note| note.ours() == Some(&id) && note.status != "void")
            .collect();
        let sum: i64 = found.iter().map(|note| note.total).sum();
        let refunded: i64 = found.iter().map(|note| note.refunded()).sum();
        let (kind, ours_cents, theirs) = match found.len() {
            0 => (DifferenceKind::Missing, own.total_cents, 0),
            1 if sum != own.total_cents.get() => (DifferenceKind::Amount, own.total_cents, sum),
            1 if refunded != own.refund_cents.get() => {
                (DifferenceKind::Refunded, own.refund_cents, refunded)
            }
            1 => continue,
            _ => (DifferenceKind::Twice, own.total_cents, sum),
        };
        differences.push(Difference {
            kind,
            document: own.number.clone(),
            ours_cents,
            theirs_cents: Cents::new(theirs),
        });
    }
    differences
}
