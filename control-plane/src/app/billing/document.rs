//! Invoices as documents, and a month's costs as a table.

use super::{CollectionMode, period_of};
use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::document::{self, MoneyRow, ResourceRow};
use crate::store::billing::invoice::{self, Addressee};
use crate::store::billing::{credit, credit_note, customer};
use lumadb_billing::document::{
    Context, Document, HowToPay, Issued, Party, Payment, PlanText, invoice as written,
};
use lumadb_billing::export::{Csv, FocusContext, ResourceText, focus_header, focus_rows};
use lumadb_billing::invoice::Invoice;
use lumadb_billing::period::Period;
use lumadb_billing::price_book::{PlanId, PriceBooks};
use lumadb_contract::id::{DatabaseId, InvoiceId, OrganizationId};
use serde::Deserialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::IntoParams;

/// Who sells, as invoices say it, and where transfers go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    pub party: Party,
    /// Holder, number and so on, label by label; without any, invoices say nothing of transfers.
    pub account: Vec<(String, String)>,
}

impl Default for Seller {
    fn default() -> Self {
        Self {
            party: Party {
                name: "LumaDB Cloud".into(),
                ..Party::default()
            },
            account: Vec::new(),
        }
    }
}

/// Which month.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MonthQuery {
    /// A month (UTC) of the form `2026-11`; the running one if left out.
    #[param(value_type = Option<String>, example = "2026-11")]
    pub period: Option<Period>,
}

/// An invoice with what its document says beside its lines.
struct Read {
    invoice: Invoice,
    customer: Addressee,
    email: Option<String>,
    period: Period,
    issued_at: OffsetDateTime,
    due_at: OffsetDateTime,
    collection: CollectionMode,
    money: Vec<MoneyRow>,
    credit_notes: Vec<Issued>,
}

/// An invoice, ready to be written as HTML or PDF.
pub async fn invoice_document(
    platform: &Platform,
    caller: &Caller,
    id: InvoiceId,
) -> Result<Document, AppError> {
    let member = authorize(platform, caller, id, Action::BillingRead).await?;
    let organization = member.organization;
    let mut tx = platform.store.tenant(organization).await?;
    let found = document_read(platform, &mut EitherTx::Tenant(&mut tx), organization, id).await?;
    tx.commit().await?;
    found.ok_or_else(|| AppError::not_found("invoice", id))
}

/// The same, for whoever has the transaction.
async fn document_read(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<Option<Document>, AppError> {
    let Some(read) = read(tx, organization, id).await? else {
        return Ok(None);
    };
    let names = document::database_names(tx, organization).await?;
    let console = &platform.links.console_url;
    Ok(Some(write(
        &read,
        &names.into_iter().collect(),
        &platform.books,
        &platform.settings.seller,
        &format!("{console}/billing/invoices/{id}"),
    )))
}

/// A file, and what it is called.
#[derive(Debug)]
pub struct File {
    pub name: String,
    pub content: Vec<u8>,
}

/// The document of an invoice as a PDF.
pub async fn invoice_pdf(
    platform: &Platform,
    caller: &Caller,
    id: InvoiceId,
) -> Result<File, AppError> {
    pdf(invoice_document(platform, caller, id).await?).await
}

/// The PDF that goes with the mail of an invoice; `None`: the invoice is gone.
pub async fn mailed_pdf(
    platform: &Platform,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<Option<File>, AppError> {
    let mut tx = platform.store.region().await?;
    let found = document_read(platform, &mut EitherTx::Region(&mut tx), organization, id).await?;
    tx.commit().await?;
    match found {
        Some(document) => pdf(document).await.map(Some),
        None => Ok(None),
    }
}

/// Made beside the threads that serve.
async fn pdf(document: Document) -> Result<File, AppError> {
    let name = format!("{}.pdf", document.file_name());
    let made = tokio::task::spawn_blocking(move || document.pdf());
    let made = made.await.map_err(AppError::internal)?;
    Ok(File {
        name,
        content: made.map_err(AppError::internal)?,
    })
}

async fn read(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<Option<Read>, AppError> {
    let Some(row) = invoice::find(tx, organization, id).await? else {
        return Ok(None);
    };
    let mut invoice = row.head()?;
    invoice.lines = invoice::lines(tx, organization, id).await?;
    invoice.credits = credit::uses_of(tx, organization, id).await?;
    let customer = customer::find(tx, organization).await?;
    Ok(Some(Read {
        invoice,
        customer: row.customer.0,
        email: customer.and_then(|customer| customer.email),
        period: period_of(row.period)?,
        issued_at: row.issued_at,
        due_at: row.due_at,
        collection: row.collection,
        money: document::money(tx, organization, id).await?,
        credit_notes: credit_notes(tx, organization, id).await?,
    }))
}

async fn credit_notes(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<Vec<Issued>, AppError> {
    let rows = credit_note::of_invoice(tx, organization, id).await?;
    let issued = rows.iter().map(|row| {
        let note = row.note()?;
        Ok(Issued {
            note,
            at: row.issued_at,
        })
    });
    issued.collect()
}

fn write(
    read: &Read,
    databases: &BTreeMap<DatabaseId, String>,
    books: &PriceBooks,
    seller: &Seller,
    url: &str,
) -> Document {
    let payments: Vec<Payment> = read
        .money
        .iter()
        .map(|row| payment(row, read.collection))
        .collect();
    let how_to_pay = match read.collection {
        CollectionMode::Stripe => HowToPay::Charged {
            method: "your card".into(),
        },
        CollectionMode::Manual if seller.account.is_empty() => HowToPay::Unsaid,
        CollectionMode::Manual => HowToPay::Transfer {
            account: seller.account.clone(),
        },
    };
    let buyer = buyer(&read.customer, read.email.clone());
    let context = Context {
        seller: &seller.party,
        buyer: &buyer,
        issued_at: read.issued_at,
        due_at: Some(read.due_at),
        plans: &plans(books, read.period),
        databases,
        payments: &payments,
        credit_notes: &read.credit_notes,
        how_to_pay: &how_to_pay,
        url: Some(url),
    };
    written(&read.invoice, &context)
}

fn payment(row: &MoneyRow, collection: CollectionMode) -> Payment {
    let is_balance = ["payment/balance/", "refund/balance/"]
        .iter()
        .any(|prefix| row.key.starts_with(prefix));
    let method = match collection {
        _ if is_balance => "your balance with us",
        CollectionMode::Stripe => "card",
        CollectionMode::Manual => "bank transfer",
    };
    Payment {
        at: row.at,
        amount: row.cents,
        method: method.into(),
    }
}

fn buyer(customer: &Addressee, email: Option<String>) -> Party {
    let address = &customer.address;
    let city = [&address.postal_code, &address.city, &address.state]
        .map(String::as_str)
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let lines = [&address.line1, &address.line2, &city, &address.country];
    Party {
        name: customer.name.clone(),
        address: lines
            .into_iter()
            .filter(|line| !line.is_empty())
            .cloned()
            .collect(),
        tax_id: customer.tax_id.clone(),
        email,
    }
}

fn plans(books: &PriceBooks, period: Period) -> BTreeMap<PlanId, PlanText> {
    let plans = books.at(period).map(|book| book.plans.as_slice());
    let plans = plans.unwrap_or_default().iter().map(|plan| {
        let text = PlanText {
            name: plan.display_name.clone(),
            monthly: plan.fee,
        };
        (plan.id.clone(), text)
    });
    plans.collect()
}

/// A table, and under which name it is kept.
#[derive(Debug)]
pub struct Table {
    pub name: String,
    pub csv: String,
}

/// The charges of a month's invoices as a table by FOCUS.
pub async fn cost_export(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    query: &MonthQuery,
) -> Result<Table, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let period = match query.period {
        Some(period) => period,
        None => Period::of(super::now(platform, &mut EitherTx::Tenant(&mut tx)).await?)?,
    };
    let customer = customer::find(&mut EitherTx::Tenant(&mut tx), organization).await?;
    let name = customer
        .map(|customer| customer.organization_name)
        .ok_or_else(super::gone)?;
    let resources = document::resources(&mut tx).await?;
    let mut invoices = Vec::new();
    for id in document::of_period(&mut tx, period.start().date()).await? {
        let either = &mut EitherTx::Tenant(&mut tx);
        invoices.extend(read(either, organization, id).await?);
    }
    tx.commit().await?;
    let databases = resources.into_iter().map(resource).collect();
    let context = FocusContext {
        books: &platform.books,
        account_name: &name,
        issuer: &platform.settings.seller.party.name,
        databases: &databases,
    };
    let mut csv = Csv::new();
    focus_header(&mut csv);
    for read in &invoices {
        focus_rows(&mut csv, &read.invoice, read.period, &context);
    }
    Ok(Table {
        name: format!("costs-{period}.csv"),
        csv: csv.finish(),
    })
}

fn resource(row: ResourceRow) -> (DatabaseId, ResourceText) {
    let text = ResourceText {
        name: row.name,
        region_id: row.region,
        region_name: row.region_name,
        project_id: row.project_id.to_string(),
        project_name: row.project_name,
    };
    (row.id, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::billing::Address;
    use lumadb_contract::money::Cents;
    use time::macros::datetime;

    #[test]
    fn an_address_has_no_empty_lines() {
        let customer = Addressee {
            name: "Ada".into(),
            address: Address {
                line1: "5 Dorset Street".into(),
                city: "London".into(),
                postal_code: "W1U 6QL".into(),
                country: "GB".into(),
                ..Address::default()
            },
            tax_id: None,
        };
        let party = buyer(&customer, None);
        assert_eq!(party.address, ["5 Dorset Street", "W1U 6QL London", "GB"]);
        let nowhere = Addressee {
            address: Address::default(),
            ..customer
        };
        assert!(buyer(&nowhere, None).address.is_empty());
    }

    #[test]
    fn a_payment_says_how_the_money_came() {
        let method = |key: &str, collection| {
            let row = MoneyRow {
                key: key.into(),
                at: datetime!(2026-12-01 0:00 UTC),
                cents: Cents::new(1),
            };
            payment(&row, collection).method
        };
        assert_eq!(method("payment/x", CollectionMode::Manual), "bank transfer");
        assert_eq!(method("payment/x", CollectionMode::Stripe), "card");
        let balance = method("payment/balance/a/b", CollectionMode::Stripe);
        assert_eq!(balance, "your balance with us");
    }
}
