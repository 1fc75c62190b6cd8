//! Final invoices and their lines.

use crate::app::billing::{Address, CollectionMode, InvoiceKind, InvoiceState};
use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_billing::invoice::{Invoice, Tax, Totals};
use lumadb_billing::rating::Line;
use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::{Cents, Currency};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::{Date, OffsetDateTime};

/// To whom an invoice is addressed, as it was when it became final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressee {
    pub name: String,
    pub address: Address,
    pub tax_id: Option<String>,
}

/// An invoice without its lines.
#[derive(Debug, Clone)]
pub struct InvoiceRow {
    pub id: InvoiceId,
    pub organization_id: OrganizationId,
    pub number: String,
    pub kind: InvoiceKind,
    /// First day of its period.
    pub period: Date,
    pub state: InvoiceState,
    pub collection: CollectionMode,
    pub customer: Json<Addressee>,
    pub tax: Json<Tax>,
    pub lines_cents: Cents,
    pub credits_cents: Cents,
    pub net_cents: Cents,
    pub tax_cents: Cents,
    pub total_cents: Cents,
    /// What is still owed for it, by the ledger; below zero, what we owe.
    pub outstanding_cents: Cents,
    pub issued_at: OffsetDateTime,
    pub due_at: OffsetDateTime,
    pub state_since: OffsetDateTime,
    pub reminders: i16,
    pub remind_at: Option<OffsetDateTime>,
}

impl InvoiceRow {
    /// As the crate `billing` knows it, for entries of the ledger; without the lines, which they do
    /// not need.
    pub fn head(&self) -> Result<Invoice, StoreError> {
        let number = self.number.parse().map_err(|_| {
            StoreError::Corrupt(format!("`{}` is not a document's number", self.number))
        })?;
        Ok(Invoice {
            id: self.id,
            organization: self.organization_id,
            currency: Currency::Usd,
            state: self.state.into(),
            number: Some(number),
            lines: Vec::new(),
            credits: Vec::new(),
            tax: self.tax.0.clone(),
            totals: Totals {
                lines: self.lines_cents,
                credits: self.credits_cents,
                net: self.net_cents,
                tax: self.tax_cents,
                total: self.total_cents,
            },
        })
    }
}

#[derive(Debug)]
pub struct NewInvoice<'a> {
    /// Final: with a number.
    pub invoice: &'a Invoice,
    pub kind: InvoiceKind,
    pub period: Date,
    pub collection: CollectionMode,
    pub customer: Addressee,
    pub issued_at: OffsetDateTime,
    pub due_at: OffsetDateTime,
    pub remind_at: Option<OffsetDateTime>,
}

/// Writes a final invoice with its lines.
pub async fn insert(tx: &mut EitherTx<'_>, new: &NewInvoice<'_>) -> Result<(), StoreError> {
    let invoice = new.invoice;
    let totals = invoice.totals;
    let number = invoice.number.map(|number| number.to_string());
    sqlx::query!(
        "insert into invoices (id, organization_id, number, kind, period, state, currency,
             collection, customer, tax, lines_cents, credits_cents, net_cents, tax_cents,
             total_cents, issued_at, due_at, state_since, remind_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $16,
                 $18)",
        invoice.id.uuid(),
        invoice.organization.uuid(),
        number,
        new.kind.as_str(),
        new.period,
        invoice.state.name(),
        invoice.currency.code(),
        new.collection.as_str(),
        Json(&new.customer) as _,
        Json(&invoice.tax) as _,
        totals.lines.get(),
        totals.credits.get(),
        totals.net.get(),
        totals.tax.get(),
        totals.total.get(),
        new.issued_at,
        new.due_at,
        new.remind_at
    )
    .execute(tx.connection())
    .await?;
    lines_insert(tx, invoice).await
}

async fn lines_insert(tx: &mut EitherTx<'_>, invoice: &Invoice) -> Result<(), StoreError> {
    let count = invoice.lines.len();
    let mut positions = Vec::with_capacity(count);
    let mut amounts = Vec::with_capacity(count);
    let mut corrects: Vec<Option<Date>> = Vec::with_capacity(count);
    let mut lines = Vec::with_capacity(count);
    for (position, line) in (0_i32..).zip(&invoice.lines) {
        positions.push(position);
        amounts.push(line.amount.get());
        corrects.push(line.corrects.map(|period| period.start().date()));
        let text = serde_json::to_value(line);
        lines.push(text.map_err(|error| StoreError::Corrupt(error.to_string()))?);
    }
    sqlx::query!(
        "insert into invoice_lines (organization_id, invoice_id, position, amount_cents, corrects,
             line)
         select $1, $2, * from unnest($3::int[], $4::bigint[], $5::date[], $6::jsonb[])",
        invoice.organization.uuid(),
        invoice.id.uuid(),
        &positions,
        &amounts,
        &corrects as _,
        &lines
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn find(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<Option<InvoiceRow>, StoreError> {
    Ok(select(tx, organization, Some(id), None, 1).await?.pop())
}

/// Newest first, from behind `before` on.
pub async fn list(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    before: Option<InvoiceId>,
    limit: i64,
) -> Result<Vec<InvoiceRow>, StoreError> {
    select(tx, organization, None, before, limit).await
}

async fn select(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: Option<InvoiceId>,
    before: Option<InvoiceId>,
    limit: i64,
) -> Result<Vec<InvoiceRow>, StoreError> {
    let rows = sqlx::query_as!(
        InvoiceRow,
        r#"select id as "id: InvoiceId", organization_id as "organization_id: OrganizationId",
                  number, kind as "kind: InvoiceKind", period, state as "state: InvoiceState",
                  collection as "collection: CollectionMode", customer as "customer: Json<Addressee>",
                  tax as "tax: Json<Tax>", lines_cents as "lines_cents: Cents",
                  credits_cents as "credits_cents: Cents", net_cents as "net_cents: Cents",
                  tax_cents as "tax_cents: Cents", total_cents as "total_cents: Cents",
                  (select coalesce(sum(receivable_cents), 0)::bigint from ledger_entries l
                   where l.invoice_id = invoices.id) as "outstanding_cents!: Cents",
                  issued_at, due_at, state_since, reminders, remind_at
           from invoices
           where organization_id = $1 and ($2::uuid is null or id = $2)
             and ($3::uuid is null or id < $3)
           order by id desc limit $4"#,
        organization.uuid(),
        id.map(InvoiceId::uuid),
        before.map(InvoiceId::uuid),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// The lines of an invoice in their order.
pub async fn lines(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    invoice: InvoiceId,
) -> Result<Vec<Line>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"select line as "line: Json<Line>" from invoice_lines
           where organization_id = $1 and invoice_id = $2 order by position"#,
        organization.uuid(),
        invoice.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|Json(line)| line).collect())
}

/// Moves an invoice to another state, unless it left the one that it was seen in. Whoever asks has
/// checked that the move is legal.
pub async fn state_change(
    tx: &mut EitherTx<'_>,
    row: &InvoiceRow,
    to: InvoiceState,
    remind_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let moved = sqlx::query!(
        "update invoices set state = $4, state_since = $5, remind_at = $6, reminders = 0
         where organization_id = $1 and id = $2 and state = $3",
        row.organization_id.uuid(),
        row.id.uuid(),
        row.state.as_str(),
        to.as_str(),
        now,
        remind_at
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(moved == 1)
}

pub async fn any_overdue(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"select exists(select from invoices where organization_id = $1 and state = 'overdue')
           as "found!""#,
        organization.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(found)
}

/// Invoices for which the next step is due, the longest due first.
pub async fn remind_due(
    tx: &mut RegionTx,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(OrganizationId, InvoiceId)>, StoreError> {
    let rows = sqlx::query!(
        r#"select organization_id as "organization: OrganizationId", id as "id: InvoiceId"
           from invoices where remind_at <= $1 order by remind_at limit $2"#,
        now,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.organization, row.id)).collect())
}

/// Notes how many reminders were sent and when the next step is due.
pub async fn remind_change(
    tx: &mut EitherTx<'_>,
    row: &InvoiceRow,
    reminders: i16,
    remind_at: Option<OffsetDateTime>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update invoices set reminders = $3, remind_at = $4 where organization_id = $1 and id = $2",
        row.organization_id.uuid(),
        row.id.uuid(),
        reminders,
        remind_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The organization and the identifier of the invoice with this number.
pub async fn by_number(
    tx: &mut RegionTx,
    number: &str,
) -> Result<Option<(OrganizationId, InvoiceId)>, StoreError> {
    let row = sqlx::query!(
        r#"select organization_id as "organization: OrganizationId", id as "id: InvoiceId"
           from invoices where number = $1"#,
        number
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.organization, row.id)))
}
