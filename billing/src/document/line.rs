//! Lines in words: what each is for, and how it comes to its amount.

use super::content::{Day, DayTable, Part, Row, Section};
use super::party::Context;
use super::words;
use crate::exact::mul_div_half_up;
use crate::period::{Period, seconds_between};
use crate::rating::{Line, LineKind, UsageDetail};
use lumadb_contract::money::Cents;

/// Seconds of a month that is out of range of a calendar.
const MONTH_SECONDS: u32 = 30 * 86_400;

/// The lines in their order, those in a row that belong together under one title.
pub(super) fn sections(lines: &[Line], context: &Context<'_>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let title = section_title(line, context);
        let row = row(index + 1, line, context);
        match sections.last_mut() {
            Some(last) if last.title == title => last.rows.push(row),
            _ => sections.push(Section {
                title,
                rows: vec![row],
            }),
        }
    }
    sections
}

fn section_title(line: &Line, context: &Context<'_>) -> String {
    let plan = context.plan_name(&line.plan);
    let span = words::span(line.from, line.to);
    match (line.kind, line.corrects) {
        (_, Some(period)) => format!(
            "Correction of {}: usage that arrived late",
            words::month(period)
        ),
        (LineKind::Fee | LineKind::FeeUnused, None) => "Plan, in advance".to_owned(),
        (LineKind::AboveCap | LineKind::Minimum, None) => format!("Adjustments \u{b7} {span}"),
        (LineKind::Usage(_) | LineKind::Covered | LineKind::Discount, None) => {
            format!("Usage \u{b7} {plan} \u{b7} {span}")
        }
    }
}

/// The month that a line lies in: what its GB-months and its fee are measured by.
fn month_of(line: &Line) -> Option<Period> {
    line.corrects.or_else(|| Period::of(line.from).ok())
}

pub(super) fn title(line: &Line, context: &Context<'_>) -> String {
    let plan = || context.plan_name(&line.plan);
    match line.kind {
        LineKind::Fee => plan(),
        LineKind::FeeUnused => format!("{}: unused time", plan()),
        LineKind::Usage(meter) => words::meter(meter).to_owned(),
        LineKind::Covered => "Usage that the plan\u{2019}s fee covers".to_owned(),
        LineKind::Discount => "Agreed discount on usage".to_owned(),
        LineKind::AboveCap => "Usage above your spend cap, not billed".to_owned(),
        LineKind::Minimum => "Up to the agreed minimum".to_owned(),
    }
}

fn row(position: usize, line: &Line, context: &Context<'_>) -> Row {
    let mut row = Row {
        position,
        title: title(line, context),
        explained: Vec::new(),
        quantity: String::new(),
        unit_price: String::new(),
        amount: words::money(line.amount),
        parts: Vec::new(),
    };
    match (&line.usage, line.kind) {
        (Some(usage), _) => explain_usage(&mut row, line, usage, context),
        (None, LineKind::Fee | LineKind::FeeUnused) => explain_fee(&mut row, line, context),
        (None, _) => {}
    }
    if line.corrects.is_some() {
        row.explained.insert(
            0,
            format!(
                "{}, {}",
                context.plan_name(&line.plan),
                words::span(line.from, line.to)
            ),
        );
    }
    row
}

fn explain_fee(row: &mut Row, line: &Line, context: &Context<'_>) {
    row.explained.push(words::span(line.from, line.to));
    let Some(month) = month_of(line) else { return };
    let monthly = context.plans.get(&line.plan).and_then(|plan| plan.monthly);
    let seconds = seconds_between(line.from, line.to);
    if seconds == u128::from(month.seconds()) {
        "1 month".clone_into(&mut row.quantity);
        row.unit_price = words::money(line.amount);
        return;
    }
    let part = words::duration(seconds);
    let whole = words::duration(month.seconds().into());
    row.quantity.clone_from(&part);
    let name = words::month(month);
    match monthly.filter(|monthly| is_part(*monthly, seconds, month, line.amount)) {
        Some(monthly) => {
            row.unit_price = format!("{} a month", words::money(monthly));
            row.explained.push(format!(
                "Prorated by the second: {} \u{d7} {part} of the {whole} of {name}",
                words::money(monthly)
            ));
        }
        None => row.explained.push(format!(
            "Prorated by the second: {part} of the {whole} of {name}"
        )),
    }
}

/// Whether an amount is this part of a month's fee, so that the sentence that says so is true.
fn is_part(monthly: Cents, seconds: u128, month: Period, amount: Cents) -> bool {
    let size = |cents: Cents| u128::from(cents.get().unsigned_abs());
    mul_div_half_up(size(monthly), seconds, month.seconds().into()) == Some(size(amount))
}

fn explain_usage(row: &mut Row, line: &Line, usage: &UsageDetail, context: &Context<'_>) {
    let month = month_of(line);
    let month_seconds = month.map_or(MONTH_SECONDS, Period::seconds);
    let sold = |count: i128| words::sold(usage.meter, count, month_seconds);
    let bare = |count: i128| words::quantity(count, usage.meter.counted_per_sold(month_seconds));
    row.quantity = sold(usage.billed.get());
    row.unit_price = words::price(usage.unit_price);
    if usage.included.get() != 0 {
        let whole = month.is_some_and(|month| month.start() == line.from && month.end() == line.to);
        let prorated = if whole || line.corrects.is_some() {
            ""
        } else {
            ", prorated"
        };
        row.explained.push(format!(
            "{} used, {} included{prorated}",
            sold(usage.used.get()),
            bare(usage.included.get())
        ));
    }
    if !usage.over.is_empty() {
        let days = usage.over.len();
        row.explained.push(format!(
            "More than a day includes on {days} {}, listed at the end",
            if days == 1 { "day" } else { "days" }
        ));
    }
    row.parts = usage
        .shares
        .iter()
        .map(|share| Part {
            name: context.database_name(share.database),
            quantity: bare(share.billed.get()),
            amount: words::money(share.amount),
        })
        .collect();
}

/// For each line that has some: the days on which more was used than was included.
pub(super) fn day_tables(lines: &[Line]) -> Vec<DayTable> {
    let mut tables = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(usage) = line.usage.as_ref().filter(|usage| !usage.over.is_empty()) else {
            continue;
        };
        let count = |count: i128| words::quantity(count, 1);
        let days = usage.over.iter().map(|day| Day {
            date: words::date(day.from),
            used: count(day.used.get()),
            included: count(day.included.get()),
            billed: count(day.used.get() - day.included.get()),
        });
        tables.push(DayTable {
            title: format!(
                "Line {}: {} by day (UTC)",
                index + 1,
                words::meter(usage.meter).to_lowercase()
            ),
            days: days.collect(),
        });
    }
    tables
}
