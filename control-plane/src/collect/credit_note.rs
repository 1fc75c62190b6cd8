//! A credit note on its way: less is owed of an open invoice, or something goes back to the card.

use super::Collector;
use super::invoice::key;
use super::sender::Outcome;
use crate::app::AppError;
use crate::store::stripe::report;
use crate::store::stripe::task::{self, TaskRow};
use crate::store::{EitherTx, StoreError};
use lumadb_billing::stripe::{CreditNote, Failure, Key, NewCreditNote};
use lumadb_contract::money::Cents;

pub(super) async fn send(collector: &Collector, task: &TaskRow) -> Result<Outcome, AppError> {
    let note = task.credit_note_id;
    let note = note.ok_or_else(|| StoreError::Corrupt("a task without its note".into()))?;
    let mut region = collector.platform.store.region().await?;
    let sent = task::stripe_invoice(&mut region, task.invoice_id).await?;
    let (number, total) = report::note(&mut EitherTx::Region(&mut region), note).await?;
    region.commit().await?;
    // Stripe never had the invoice: it has nothing to take back.
    let Some(invoice) = sent else {
        return Ok(Outcome::Done);
    };
    let new = NewCreditNote {
        invoice,
        credit_note: note.to_string(),
        number,
        total,
        refund: None,
    };
    let key = key(collector, &mut task.clone(), "credit_note").await?;
    let made = match make(collector, &key, new, task.refund_cents).await {
        Ok(Some(made)) => made,
        Ok(None) => return Ok(Outcome::Later("its invoice is a draft still".into())),
        Err(failure) => return Ok(failure.into()),
    };
    if made.total != total.get() {
        let why = format!("it is {} cents at Stripe and {total} here", made.total);
        return Ok(Outcome::Stuck(why));
    }
    let mut tx = collector.platform.store.region().await?;
    task::known(&mut tx, task.id, &made.id, None).await?;
    tx.commit().await?;
    Ok(Outcome::Done)
}

/// The credit note at Stripe, made unless it is there. `refund` goes back to the card if the invoice
/// is paid. `None`: nothing can be taken back of a draft.
async fn make(
    collector: &Collector,
    key: &Key,
    mut new: NewCreditNote,
    refund: Cents,
) -> Result<Option<CreditNote>, Failure> {
    let stripe = &collector.account.stripe;
    let found = stripe.credit_note_find(&new.invoice, &new.credit_note);
    if let Some(found) = found.await? {
        return Ok(Some(found));
    }
    let shown = stripe.invoice(&new.invoice).await?;
    if shown.is("draft") {
        return Ok(None);
    }
    new.refund = shown.is("paid").then_some(refund);
    stripe.credit_note_create(key, &new).await.map(Some)
}
