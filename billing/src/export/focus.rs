//! Costs by the FinOps Open Cost and Usage Specification (FOCUS) 1.2, dataset "Cost and Usage".
//!
//! A row is a charge: each database's part of a line for usage, else the line; what credits paid;
//! the tax. Columns about things that we do not sell (commitment discounts, capacity reservations,
//! other currencies) are left out, as the specification wants it. Where a charge has no value, the
//! cell is empty.
//!
//! What covers a part of usage (a fee, a discount, the spend cap) is a row of its own below zero, as
//! on the invoice, so that both add up alike.

use super::csv::Csv;
use super::{decimal, unit};
use crate::exact::mul_div_half_up;
use crate::invoice::Invoice;
use crate::period::Period;
use crate::price_book::PriceBooks;
use crate::rating::{Line, LineKind, Share, UsageDetail};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Cents, Money};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The columns, in their order.
pub const COLUMNS: [&str; 41] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
];

/// What an export says of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceText {
    pub name: String,
    pub region_id: String,
    pub region_name: String,
    /// The project that it lies in.
    pub project_id: String,
    pub project_name: String,
}

/// Everything around the invoices of one organization.
#[derive(Debug, Clone, Copy)]
pub struct FocusContext<'a> {
    pub books: &'a PriceBooks,
    pub account_name: &'a str,
    /// Who sells.
    pub issuer: &'a str,
    pub databases: &'a BTreeMap<DatabaseId, ResourceText>,
}

/// What differs between charges.
struct Charge<'a> {
    cost: Cents,
    category: &'static str,
    is_correction: bool,
    description: String,
    frequency: &'static str,
    from: OffsetDateTime,
    to: OffsetDateTime,
    used: Option<Used<'a>>,
    sku: Option<String>,
    /// Version of the price book.
    book: Option<&'a str>,
}

/// One database's part of a line for usage.
#[derive(Clone, Copy)]
struct Used<'a> {
    detail: &'a UsageDetail,
    share: &'a Share,
    month: Period,
}

pub fn focus_header(csv: &mut Csv) {
    for column in COLUMNS {
        csv.value(column);
    }
    csv.end_row();
}

/// The charges of an invoice, final or a draft; its billing period is the month `period`.
pub fn focus_rows(csv: &mut Csv, invoice: &Invoice, period: Period, context: &FocusContext<'_>) {
    for line in &invoice.lines {
        for charge in charges(line) {
            row(csv, invoice, period, context, &charge);
        }
    }
    let end = (period.start(), period.end());
    for used in &invoice.credits {
        let charge = whole(
            used.amount.checked_neg().unwrap_or_default(),
            "Credit",
            format!("Credit {}", used.credit),
            end,
        );
        row(csv, invoice, period, context, &charge);
    }
    if !invoice.totals.tax.is_zero() {
        let charge = whole(invoice.totals.tax, "Tax", "Tax".to_owned(), end);
        row(csv, invoice, period, context, &charge);
    }
}

fn whole<'a>(
    cost: Cents,
    category: &'static str,
    description: String,
    (from, to): (OffsetDateTime, OffsetDateTime),
) -> Charge<'a> {
    Charge {
        cost,
        category,
        is_correction: false,
        description,
        frequency: "One-Time",
        from,
        to,
        used: None,
        sku: None,
        book: None,
    }
}

fn charges(line: &Line) -> Vec<Charge<'_>> {
    let (category, frequency, description) = match line.kind {
        LineKind::Fee => ("Purchase", "Recurring", "Plan fee"),
        LineKind::FeeUnused => ("Adjustment", "One-Time", "Plan fee, unused time"),
        LineKind::Usage(meter) => ("Usage", "Usage-Based", meter_text(meter)),
        LineKind::Covered => ("Adjustment", "Usage-Based", "Usage covered by the plan fee"),
        LineKind::Discount => ("Adjustment", "Usage-Based", "Agreed discount on usage"),
        LineKind::AboveCap => ("Adjustment", "Usage-Based", "Usage above the spend cap"),
        LineKind::Minimum => ("Adjustment", "One-Time", "Agreed minimum"),
    };
    let charge = |cost| Charge {
        cost,
        category,
        is_correction: line.corrects.is_some(),
        description: format!("{description} ({})", line.plan),
        frequency,
        from: line.from,
        to: line.to,
        sku: Some(match line.kind {
            LineKind::Usage(meter) => meter.name().to_owned(),
            _ => line.plan.to_string(),
        }),
        used: None,
        book: Some(line.book.as_str()),
    };
    let month = line.corrects.or_else(|| Period::of(line.from).ok());
    match (&line.usage, month) {
        (Some(detail), Some(month)) if !detail.shares.is_empty() => detail
            .shares
            .iter()
            .map(|share| Charge {
                used: Some(Used {
                    detail,
                    share,
                    month,
                }),
                ..charge(share.amount)
            })
            .collect(),
        _ => vec![charge(line.amount)],
    }
}

const fn meter_text(meter: Meter) -> &'static str {
    match meter {
        Meter::Storage => "Storage",
        Meter::Compute => "Compute",
        Meter::Requests => "Requests",
        Meter::TransferOut => "Data transfer out",
        Meter::VectorOperations => "Vector operations",
    }
}

fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

impl Used<'_> {
    fn sold(&self) -> u128 {
        let meter = self.detail.meter;
        meter.counted_per_sold(self.month.seconds())
    }

    /// What has a price, at a price; not rounded to cents.
    fn cost(&self, price: Money) -> Option<Money> {
        let billed = self.share.billed.get();
        let units = u128::try_from(price.units()).ok()?;
        let cost = mul_div_half_up(billed.unsigned_abs(), units, self.sold())?;
        let cost = i128::try_from(cost).ok()?;
        Some(Money::from_units(if billed < 0 { -cost } else { cost }))
    }
}

fn row(
    csv: &mut Csv,
    invoice: &Invoice,
    period: Period,
    context: &FocusContext<'_>,
    charge: &Charge<'_>,
) {
    let used = charge.used.as_ref();
    let meter = used.map(|used| used.detail.meter);
    let contracted = used.map(|used| used.detail.unit_price);
    let list = used.and_then(|used| {
        let book = context.books.at(used.month).ok()?;
        Some(book.price(used.detail.meter))
    });
    let cost = |price: Option<Money>| {
        let exact = used.zip(price).and_then(|(used, price)| used.cost(price));
        exact.unwrap_or_else(|| Money::from(charge.cost))
    };
    csv.value(charge.cost)
        .value(invoice.organization)
        .text(context.account_name)
        .value("Organization")
        .value(invoice.currency.code())
        .value(moment(period.end()))
        .value(moment(period.start()))
        .value(charge.category)
        .option(charge.is_correction.then_some("Correction"))
        .value(&charge.description)
        .value(charge.frequency)
        .value(moment(charge.to))
        .value(moment(charge.from))
        .option(used.and_then(|used| decimal(used.share.used.get(), used.sold())))
        .option(meter.map(unit))
        .value(cost(contracted))
        .option(contracted)
        .value(charge.cost)
        .option(invoice.number)
        .text(context.issuer)
        .value(cost(list))
        .option(list)
        .option(meter.map(|_| "Standard"))
        .value(invoice.currency.code())
        .option(used.and_then(|used| decimal(used.share.billed.get(), used.sold())))
        .option(meter.map(unit))
        .text(context.issuer)
        .text(context.issuer);
    resource(csv, used.map(|used| used.share.database), context);
    csv.value("Databases")
        .value("LumaDB PostgreSQL")
        .value("Relational Databases")
        .option(charge.sku.as_ref())
        .option(meter.map(meter_text))
        .option(price_id(charge));
    project(csv, used.map(|used| used.share.database), context);
    csv.end_row();
}

/// Names a price: what of, in which price book.
fn price_id(charge: &Charge<'_>) -> Option<String> {
    let (sku, book) = charge.sku.as_ref().zip(charge.book)?;
    Some(format!("{book}/{sku}"))
}

/// Region and resource.
fn resource(csv: &mut Csv, database: Option<DatabaseId>, context: &FocusContext<'_>) {
    let Some(id) = database else {
        csv.null().null().null().null().null();
        return;
    };
    match context.databases.get(&id) {
        Some(known) => csv
            .text(&known.region_id)
            .text(&known.region_name)
            .value(id)
            .text(&known.name),
        None => csv.null().null().value(id).null(),
    }
    .value("Database");
}

/// The account below: the project.
fn project(csv: &mut Csv, database: Option<DatabaseId>, context: &FocusContext<'_>) {
    match database.and_then(|id| context.databases.get(&id)) {
        Some(known) => csv.text(&known.project_id).text(&known.project_name),
        None => csv.null().null(),
    };
}
