//! The running invoice and what the month will cost.

use super::billed_database::{BilledDatabase, billed_databases};
use super::invoice::{InvoiceCredit, InvoiceLine, lines_view};
use super::{InvoiceState, TaxView, gone, reckon};
use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::{credit, customer};
use lumadb_billing::invoice::Invoice;
use lumadb_billing::period::Period;
use lumadb_billing::rating;
use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::{Cents, Currency};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

/// How far back a forecast looks, and a little more.
const FORECAST_LOOK_BACK: Duration = Duration::days(8);

/// Which month.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DraftQuery {
    /// A month that is not closed, such as `2026-11`; the running one if left out.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}$")]
    pub period: Option<String>,
}

/// The invoice of a month that is not closed, as far as it is known.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InvoiceDraft {
    pub organization_id: OrganizationId,
    /// The month (UTC).
    pub period: String,
    /// `draft`.
    pub state: InvoiceState,
    /// Up to when usage is in it.
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    pub currency: String,
    pub lines_cents: Cents,
    /// What credits would pay of it.
    pub credits_cents: Cents,
    pub net_cents: Cents,
    pub tax_cents: Cents,
    pub total_cents: Cents,
    pub tax: TaxView,
    /// Usage so far, and the fee of the next month.
    pub lines: Vec<InvoiceLine>,
    pub credits: Vec<InvoiceCredit>,
    /// How far the spend cap is used; null: there is none.
    #[schema(required = true)]
    pub spend_cap: Option<SpendCap>,
    /// What the lines' shares are of.
    pub databases: Vec<BilledDatabase>,
}

/// How far a spend cap is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpendCap {
    pub cap_cents: Cents,
    /// Fees, usage so far, and today's storage until the month's end.
    pub committed_cents: Cents,
    pub left_cents: Cents,
}

/// What the running month will have cost at its end, if databases go on as in the last days.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Forecast {
    /// The month (UTC).
    pub period: String,
    #[serde(with = "time::serde::rfc3339")]
    pub as_of: OffsetDateTime,
    /// What the month's fees come to.
    pub fees_cents: Cents,
    /// The sum of the lines.
    pub usage_cents: Cents,
    /// Both, before credits and tax.
    pub cost_cents: Cents,
    /// By meter, and in each by database.
    pub lines: Vec<InvoiceLine>,
}

pub async fn invoice_draft_get(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    query: DraftQuery,
) -> Result<InvoiceDraft, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingRead).await?;
    let mut tenant = platform.store.tenant(member.organization).await?;
    let tx = &mut EitherTx::Tenant(&mut tenant);
    let now = super::now(platform, tx).await?;
    let customer = customer::find(tx, organization).await?.ok_or_else(gone)?;
    let running = Period::of(now)?;
    let open = super::period_of(customer.open_period)?;
    let period = match &query.period {
        None => running,
        Some(text) => text
            .parse()
            .ok()
            .filter(|period| (open..=running).contains(period))
            .ok_or_else(|| {
                AppError::field("period", "is a month that is not closed, such as 2026-11")
            })?,
    };
    let lines = reckon::lines(platform, tx, &customer, period, now).await?;
    let credits = credit::remaining(tx, organization).await?;
    let id = InvoiceId::from_uuid(uuid::Uuid::nil());
    let tax = customer.tax.0.clone();
    let draft = Invoice::draft(id, organization, lines, &credits, tax, now)?;
    let cap = reckon::cap_standing(platform, tx, organization, now).await?;
    let lines = lines_view(&draft.lines)?;
    let databases = billed_databases(tx, organization, &lines).await?;
    tenant.commit().await?;
    let totals = draft.totals;
    Ok(InvoiceDraft {
        organization_id: organization,
        period: period.to_string(),
        state: InvoiceState::Draft,
        as_of: now.min(period.end()),
        currency: Currency::Usd.code().to_owned(),
        lines_cents: totals.lines,
        credits_cents: totals.credits,
        net_cents: totals.net,
        tax_cents: totals.tax,
        total_cents: totals.total,
        tax: (&draft.tax).into(),
        lines,
        credits: draft.credits.iter().map(InvoiceCredit::from).collect(),
        spend_cap: cap.map(|standing| SpendCap {
            cap_cents: standing.cap,
            committed_cents: standing.committed,
            left_cents: standing.left,
        }),
        databases,
    })
}

pub async fn forecast_get(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
) -> Result<Forecast, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingRead).await?;
    let mut tenant = platform.store.tenant(member.organization).await?;
    let tx = &mut EitherTx::Tenant(&mut tenant);
    let now = super::now(platform, tx).await?;
    let customer = customer::find(tx, organization).await?.ok_or_else(gone)?;
    let period = Period::of(now)?;
    let from = period.start().min(now - FORECAST_LOOK_BACK);
    let account = reckon::account(tx, &customer, from, now, now).await?;
    tenant.commit().await?;
    let rated = rating::forecast(&platform.books, &account, period, now)?;
    Ok(Forecast {
        period: period.to_string(),
        as_of: now,
        fees_cents: rated.fees,
        usage_cents: rated.usage,
        cost_cents: rated.cost()?,
        lines: lines_view(&rated.lines)?,
    })
}
