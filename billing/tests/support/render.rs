//! Documents as text, for people who check them.

use super::documents::Documents;
use super::scenario::Scenario;
use lumadb_billing::invoice::Invoice;
use lumadb_billing::period::Period;
use lumadb_billing::rating::{Line, LineKind, UsageDetail};
use lumadb_contract::meter::Meter;
use std::fmt::Write;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Columns before an amount.
const WIDTH: usize = 84;

pub(crate) fn scenario(scenario: &Scenario, documents: &Documents) -> String {
    let mut out = String::new();
    let rated = &documents.rated;
    let _ = writeln!(out, "{}", scenario.about);
    let _ = writeln!(out, "{}, price book {}", rated.period, rated.book);
    for (at, change) in &documents.changes {
        let _ = writeln!(out, "\nAt the change on {}", moment(*at));
        invoice(&mut out, rated.period, change);
    }
    let _ = writeln!(out, "\nAt the end of the period");
    invoice(&mut out, rated.period, &documents.closing);
    if !scenario.late.is_empty() {
        let _ = writeln!(out, "\nOn the next invoice, for what came late");
        lines(&mut out, rated.period, &documents.corrections);
    }
    out
}

fn invoice(out: &mut String, period: Period, invoice: &Invoice) {
    lines(out, period, &invoice.lines);
    let totals = invoice.totals;
    let _ = writeln!(out, "  {:-<WIDTH$}{:->14}", "", "");
    amount(out, "  sum of the lines", totals.lines);
    for used in &invoice.credits {
        let label = format!("  credit {}", used.credit);
        amount(out, &label, format!("-{}", used.amount));
    }
    amount(out, "  net", totals.net);
    amount(out, "  tax", totals.tax);
    amount(out, "  total", totals.total);
}

fn lines(out: &mut String, period: Period, lines: &[Line]) {
    for line in lines {
        let kind = match line.kind {
            LineKind::Usage(meter) => meter.name().to_owned(),
            other => serde_json::to_value(other)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned))
                .expect("a name"),
        };
        let label = format!(
            "  {kind}, {}, {} to {}",
            line.plan,
            moment(line.from),
            moment(line.to)
        );
        amount(out, &label, line.amount);
        if let Some(usage) = &line.usage {
            detail(out, period, usage);
        }
    }
}

fn detail(out: &mut String, period: Period, usage: &UsageDetail) {
    let sold = |count: i128| in_sold_units(usage.meter, period, count);
    let _ = writeln!(
        out,
        "      used {}, included {}, billed {} at {} per {}",
        sold(usage.used.get()),
        sold(usage.included.get()),
        sold(usage.billed.get()),
        usage.unit_price,
        usage.meter.sold_in(),
    );
    let _ = writeln!(out, "      = {} {}", usage.billed, usage.meter.counted_in());
    for day in &usage.over {
        let _ = writeln!(
            out,
            "      from {}: used {}, included {}",
            moment(day.from),
            day.used,
            day.included
        );
    }
    for share in &usage.shares {
        let label = format!(
            "      {}: used {}, billed {}",
            share.database,
            sold(share.used.get()),
            sold(share.billed.get())
        );
        amount(out, &label, format!("({})", share.amount));
    }
}

/// Cut to six decimals.
fn in_sold_units(meter: Meter, period: Period, count: i128) -> String {
    let unit = meter.counted_per_sold(period.seconds());
    let millionths = count.unsigned_abs() * 1_000_000 / unit;
    let sign = if count < 0 { "-" } else { "" };
    format!(
        "{sign}{}.{:06}",
        millionths / 1_000_000,
        millionths % 1_000_000
    )
}

fn amount(out: &mut String, label: &str, amount: impl std::fmt::Display) {
    let amount = amount.to_string();
    let _ = writeln!(out, "{label:<WIDTH$}  {amount:>14}");
}

fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).expect("a moment")
}
