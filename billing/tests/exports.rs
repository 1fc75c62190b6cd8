//! Exports: every golden invoice as FOCUS rows adds up to its total, and none of its cells is a
//! formula.

use crate::golden::scenarios;
use crate::support::documents::documents;
use crate::support::{agrees, books, database, here};
use lumadb_billing::export::{
    Csv, FOCUS_COLUMNS, FocusContext, ResourceText, focus_header, focus_rows,
};
use lumadb_billing::invoice::Invoice;
use lumadb_billing::period::Period;
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;

fn focus(invoice: &Invoice, period: Period, name: &str) -> String {
    let resource = |n: u32| ResourceText {
        name: format!("{name}{n}"),
        region_id: "local".into(),
        region_name: "This machine".into(),
        project_id: "prj_1".into(),
        project_name: name.into(),
    };
    let databases: BTreeMap<_, _> = (1..=2).map(|n| (database(n), resource(n))).collect();
    let books = books();
    let context = FocusContext {
        books: &books,
        account_name: name,
        issuer: "LumaDB Cloud",
        databases: &databases,
    };
    let mut csv = Csv::new();
    focus_header(&mut csv);
    focus_rows(&mut csv, invoice, period, &context);
    csv.finish()
}

/// Cells of a table without quotes inside.
fn cells(csv: &str) -> Vec<Vec<&str>> {
    csv.split_terminator("\r\n")
        .map(|line| line.split(',').collect())
        .collect()
}

fn column(name: &str) -> usize {
    FOCUS_COLUMNS
        .iter()
        .position(|column| *column == name)
        .expect(name)
}

#[test]
fn charges_add_up_to_the_invoice() {
    for (path, scenario) in scenarios() {
        let invoice = documents(&scenario).closing;
        let csv = focus(&invoice, scenario.period, "shop");
        let rows = cells(&csv);
        for row in &rows {
            assert_eq!(
                row.len(),
                FOCUS_COLUMNS.len(),
                "{}: {row:?}",
                path.display()
            );
        }
        for kind in ["BilledCost", "EffectiveCost"] {
            let sum = |category: Option<&str>| {
                let costs = rows
                    .iter()
                    .skip(1)
                    .filter(|row| category.is_none_or(|one| row[column("ChargeCategory")] == one));
                let costs = costs.map(|row| row[column(kind)].parse::<Cents>().expect("cents"));
                Cents::checked_sum(costs).expect("in range")
            };
            assert_eq!(sum(None), invoice.totals.total, "{}", path.display());
            assert_eq!(sum(Some("Tax")), invoice.totals.tax, "{}", path.display());
        }
    }
}

#[test]
fn a_table_is_as_promised() {
    let (_, scenario) = scenarios()
        .into_iter()
        .find(|(path, _)| path.ends_with("starter_everything_over.toml"))
        .expect("the scenario");
    let made = focus(&documents(&scenario).closing, scenario.period, "shop").replace("\r\n", "\n");
    assert!(
        agrees(&here("documents").join("focus.csv"), &made),
        "{made}"
    );
}

#[test]
fn names_are_no_formulas() {
    let (_, scenario) = scenarios().remove(0);
    let invoice = documents(&scenario).closing;
    let csv = focus(&invoice, scenario.period, "=cmd|' /C calc'!A0");
    for row in cells(&csv).iter().skip(1) {
        for cell in row {
            let number = cell.parse::<f64>().is_ok();
            assert!(number || !cell.starts_with(['=', '+', '-', '@']), "{cell}");
        }
    }
}
