//! Invoices as the API shows them.

use super::billed_database::{BilledDatabase, billed_databases};
use super::{Address, CollectionMode, InvoiceKind, InvoiceState, TaxView, period_of};
use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::credit;
use crate::store::billing::invoice::{self, Addressee, InvoiceRow};
use lumadb_billing::invoice::CreditUse;
use lumadb_billing::rating::{Line, LineKind, Share};
use lumadb_contract::id::{CreditId, DatabaseId, InvoiceId, OrganizationId};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// An invoice without its lines.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InvoiceSummary {
    pub id: InvoiceId,
    pub organization_id: OrganizationId,
    pub number: String,
    pub kind: InvoiceKind,
    /// The month (UTC) that it closes, or in which the plan changed, such as `2026-11`.
    pub period: String,
    pub state: InvoiceState,
    pub collection: CollectionMode,
    #[schema(examples("USD"))]
    pub currency: String,
    /// The sum of the lines.
    pub lines_cents: Cents,
    /// What credits paid of it.
    pub credits_cents: Cents,
    /// Lines less credits; what tax is on.
    pub net_cents: Cents,
    pub tax_cents: Cents,
    pub total_cents: Cents,
    /// What is still to be paid; below zero, what is kept for later invoices.
    pub outstanding_cents: Cents,
    #[serde(with = "time::serde::rfc3339")]
    pub issued_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
    /// When its state changed last.
    #[serde(with = "time::serde::rfc3339")]
    pub state_since: OffsetDateTime,
}

/// An invoice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invoice {
    #[serde(flatten)]
    pub summary: InvoiceSummary,
    /// To whom it is addressed.
    pub customer_name: String,
    pub customer_address: Address,
    #[schema(required = true)]
    pub customer_tax_id: Option<String>,
    pub tax: TaxView,
    pub lines: Vec<InvoiceLine>,
    pub credits: Vec<InvoiceCredit>,
    /// What the lines' shares are of.
    pub databases: Vec<BilledDatabase>,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceLineKind {
    /// A plan's fee from a moment to the end of the month, in advance.
    Fee,
    /// Taken back: the part of a fee for the time after a change of the plan.
    FeeUnused,
    /// Usage beyond what is included.
    Usage,
    /// Taken off: usage that the plan's fee has paid for.
    Covered,
    /// Taken off: the agreement's discount on usage.
    Discount,
    /// Taken off: usage above the spend cap.
    AboveCap,
    /// Added, up to the agreement's minimum.
    Minimum,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvoiceLine {
    /// From 0 on.
    pub position: u32,
    pub kind: InvoiceLineKind,
    pub plan_id: String,
    /// Version of the price book that it was rated with.
    pub book: String,
    /// The time that it is for.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Not included.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// The closed month that it corrects.
    #[schema(required = true)]
    pub corrects: Option<String>,
    pub amount_cents: Cents,
    /// Of a line for usage.
    #[schema(required = true)]
    pub usage: Option<InvoiceUsage>,
}

/// How a line for usage comes to its amount. Quantities are whole numbers of what the meter counts,
/// written as text because they may be larger than 2^53.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvoiceUsage {
    pub meter: Meter,
    /// What quantities count.
    #[schema(examples("byte-microseconds"))]
    pub counted_in: String,
    /// What the price is for.
    #[schema(examples("GB-month"))]
    pub sold_in: String,
    /// How much is counted for one of those.
    pub counted_per_sold: String,
    /// `included` and `billed` together.
    pub used: String,
    pub included: String,
    pub billed: String,
    /// Dollars.
    #[schema(examples("0.10"))]
    pub unit_price: String,
    /// By database; they add up to the line.
    pub shares: Vec<InvoiceShare>,
}

/// One database's part of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvoiceShare {
    pub database_id: DatabaseId,
    pub used: String,
    pub billed: String,
    pub amount_cents: Cents,
}

/// What an invoice took of a credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvoiceCredit {
    pub credit_id: CreditId,
    pub amount_cents: Cents,
}

impl TryFrom<InvoiceRow> for InvoiceSummary {
    type Error = AppError;

    fn try_from(row: InvoiceRow) -> Result<Self, AppError> {
        Ok(Self {
            id: row.id,
            organization_id: row.organization_id,
            number: row.number,
            kind: row.kind,
            period: period_of(row.period)?.to_string(),
            state: row.state,
            collection: row.collection,
            currency: lumadb_contract::money::Currency::Usd.code().to_owned(),
            lines_cents: row.lines_cents,
            credits_cents: row.credits_cents,
            net_cents: row.net_cents,
            tax_cents: row.tax_cents,
            total_cents: row.total_cents,
            outstanding_cents: row.outstanding_cents,
            issued_at: row.issued_at,
            due_at: row.due_at,
            state_since: row.state_since,
        })
    }
}

impl From<&CreditUse> for InvoiceCredit {
    fn from(used: &CreditUse) -> Self {
        Self {
            credit_id: used.credit,
            amount_cents: used.amount,
        }
    }
}

impl From<&Share> for InvoiceShare {
    fn from(share: &Share) -> Self {
        Self {
            database_id: share.database,
            used: share.used.to_string(),
            billed: share.billed.to_string(),
            amount_cents: share.amount,
        }
    }
}

/// Lines as the API shows them. Fails only for a month that no date can say.
pub(super) fn lines_view(lines: &[Line]) -> Result<Vec<InvoiceLine>, AppError> {
    (0_u32..)
        .zip(lines)
        .map(|(position, line)| line_view(position, line))
        .collect()
}

fn line_view(position: u32, line: &Line) -> Result<InvoiceLine, AppError> {
    let kind = match line.kind {
        LineKind::Fee => InvoiceLineKind::Fee,
        LineKind::FeeUnused => InvoiceLineKind::FeeUnused,
        LineKind::Usage(_) => InvoiceLineKind::Usage,
        LineKind::Covered => InvoiceLineKind::Covered,
        LineKind::Discount => InvoiceLineKind::Discount,
        LineKind::AboveCap => InvoiceLineKind::AboveCap,
        LineKind::Minimum => InvoiceLineKind::Minimum,
    };
    let seconds = lumadb_billing::period::Period::of(line.from)?.seconds();
    let usage = line.usage.as_ref().map(|usage| InvoiceUsage {
        meter: usage.meter,
        counted_in: usage.meter.counted_in().to_owned(),
        sold_in: usage.meter.sold_in().to_owned(),
        counted_per_sold: usage.meter.counted_per_sold(seconds).to_string(),
        used: usage.used.to_string(),
        included: usage.included.to_string(),
        billed: usage.billed.to_string(),
        unit_price: usage.unit_price.to_string(),
        shares: usage.shares.iter().map(InvoiceShare::from).collect(),
    });
    Ok(InvoiceLine {
        position,
        kind,
        plan_id: line.plan.to_string(),
        book: line.book.to_string(),
        from: line.from,
        to: line.to,
        corrects: line.corrects.map(|period| period.to_string()),
        amount_cents: line.amount,
        usage,
    })
}

/// Newest first, from behind `before` on; one more than is shown.
pub async fn invoice_list(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    before: Option<InvoiceId>,
    limit: i64,
) -> Result<Vec<InvoiceSummary>, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let either = &mut EitherTx::Tenant(&mut tx);
    let rows = invoice::list(either, organization, before, limit).await?;
    tx.commit().await?;
    rows.into_iter().map(InvoiceSummary::try_from).collect()
}

/// An invoice with its lines.
pub async fn invoice_get(
    platform: &Platform,
    caller: &Caller,
    id: InvoiceId,
) -> Result<Invoice, AppError> {
    let member = authorize(platform, caller, id, Action::BillingRead).await?;
    let organization = member.organization;
    let mut tx = platform.store.tenant(organization).await?;
    let either = &mut EitherTx::Tenant(&mut tx);
    let found = invoice_read(either, organization, id).await?;
    tx.commit().await?;
    found.ok_or_else(|| AppError::not_found("invoice", id))
}

/// An invoice with its lines, for whoever has the transaction.
pub async fn invoice_read(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    id: InvoiceId,
) -> Result<Option<Invoice>, AppError> {
    let Some(row) = invoice::find(tx, organization, id).await? else {
        return Ok(None);
    };
    let lines = lines_view(&invoice::lines(tx, organization, id).await?)?;
    let databases = billed_databases(tx, organization, &lines).await?;
    let credits = credit::uses_of(tx, organization, id).await?;
    let Addressee {
        name,
        address,
        tax_id,
    } = row.customer.0.clone();
    Ok(Some(Invoice {
        customer_name: name,
        customer_address: address,
        customer_tax_id: tax_id,
        tax: (&row.tax.0).into(),
        lines,
        credits: credits.iter().map(InvoiceCredit::from).collect(),
        databases,
        summary: row.try_into()?,
    }))
}
