//! Mails of billing, written with what they tell.

use crate::app::{AppError, Platform};
use crate::notify::{Mail, MailedInvoice, content};
use crate::store::billing::customer::{self, CustomerRow};
use crate::store::billing::invoice::InvoiceRow;
use crate::store::{EitherTx, outbox};
use lumadb_contract::id::OutboxId;
use time::OffsetDateTime;

/// An invoice is there.
pub(super) async fn invoice_final(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    invoice: &InvoiceRow,
) -> Result<(), AppError> {
    let url = invoice_url(platform, invoice);
    send(platform, tx, customer, |to, name| {
        let due = (invoice.outstanding_cents.get() > 0).then(|| invoice.due_at.date().to_string());
        let mail = content::invoice_final(
            to,
            name,
            &content::InvoiceMail {
                number: &invoice.number,
                total: &invoice.total_cents.to_string(),
                due: due.as_deref(),
                by_card: invoice.collection == super::CollectionMode::Stripe,
                url: &url,
            },
        );
        Mail {
            invoice: Some(MailedInvoice {
                organization: invoice.organization_id,
                id: invoice.id,
            }),
            ..mail
        }
    })
    .await
}

/// An invoice was not paid when it was due.
pub(super) async fn invoice_overdue(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    invoice: &InvoiceRow,
    suspension: OffsetDateTime,
) -> Result<(), AppError> {
    let url = invoice_url(platform, invoice);
    let outstanding = invoice.outstanding_cents.to_string();
    let suspension = suspension.date().to_string();
    send(platform, tx, customer, |to, name| {
        content::invoice_overdue(to, name, &invoice.number, &outstanding, &suspension, &url)
    })
    .await
}

/// The databases stand still.
pub(super) async fn suspended(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    invoice: &InvoiceRow,
) -> Result<(), AppError> {
    let url = invoice_url(platform, invoice);
    send(platform, tx, customer, |to, name| {
        content::suspended(to, name, &invoice.number, &url)
    })
    .await
}

/// A change of plan was not made, because what is held does not fit.
pub(super) async fn plan_kept(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    plan: &str,
    excess: &str,
) -> Result<(), AppError> {
    let url = format!("{}/billing", platform.links.console_url);
    send(platform, tx, customer, |to, name| {
        content::plan_kept(to, name, plan, excess, &url)
    })
    .await
}

fn invoice_url(platform: &Platform, invoice: &InvoiceRow) -> String {
    let console = &platform.links.console_url;
    format!("{console}/billing/invoices/{}", invoice.id)
}

/// To the address for invoices, else to every owner.
async fn send(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    content: impl Fn(&str, &str) -> Mail,
) -> Result<(), AppError> {
    let mut receivers = Vec::new();
    match &customer.email {
        Some(email) => receivers.push((email.clone(), customer.organization_name.clone())),
        None => receivers = customer::owners(tx, customer.organization_id).await?,
    }
    for (email, name) in receivers {
        let id = OutboxId::from_uuid(platform.clock.new_uuid());
        let payload = serde_json::to_value(content(&email, &name)).map_err(AppError::internal)?;
        outbox::insert_mail_of(tx, id, &payload, platform.clock.now()).await?;
    }
    Ok(())
}
