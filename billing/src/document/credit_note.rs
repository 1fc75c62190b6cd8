//! A credit note in words.

use super::content::{Document, Fact, Row, Section, Sum};
use super::party::{Context, Issued};
use super::{line, words};
use crate::invoice::{Invoice, Tax};
use lumadb_contract::money::Cents;

/// What a credit note says: what it takes back of which line of which invoice.
pub fn credit_note(issued: &Issued, invoice: &Invoice, context: &Context<'_>) -> Document {
    let note = &issued.note;
    let of = invoice
        .number
        .map_or_else(|| invoice.id.to_string(), |number| number.to_string());
    let rows = note.lines.iter().enumerate().map(|(index, credited)| {
        let line = invoice.lines.get(credited.line);
        Row {
            position: index + 1,
            title: line.map_or_else(String::new, |line| line::title(line, context)),
            explained: vec![match line {
                Some(line) => format!(
                    "Line {} of {of}, {}",
                    credited.line + 1,
                    words::span(line.from, line.to)
                ),
                None => format!("Line {} of {of}", credited.line + 1),
            }],
            quantity: String::new(),
            unit_price: String::new(),
            amount: words::money(credited.amount),
            parts: Vec::new(),
        }
    });
    Document {
        title: "Credit note",
        number: Some(note.number.to_string()),
        stamp: None,
        facts: vec![
            Fact::new("Credit note number", note.number.to_string()),
            Fact::new("Issued", words::date(issued.at)),
            Fact::new("For invoice", of.clone()),
        ],
        seller: context.seller.block("From"),
        buyer: context.buyer.block("Credited to"),
        headline: Fact::new(
            format!("Taken back of invoice {of}"),
            words::money(note.total),
        ),
        sections: vec![Section {
            title: "Credited lines".to_owned(),
            rows: rows.collect(),
        }],
        sums: sums(invoice, note.net, note.tax, note.total),
        payment: Vec::new(),
        remarks: vec![format!(
            "What was already paid for {of} is paid back in the way in which it was paid, or taken \
             off the next invoice."
        )],
        days: Vec::new(),
        issued_at: issued.at,
    }
}

fn sums(invoice: &Invoice, net: Cents, tax: Cents, total: Cents) -> Vec<Sum> {
    let mut sums = vec![("Net amount".to_owned(), net, false)];
    match &invoice.tax {
        Tax::None => {}
        Tax::Rate { name, rate } => sums.push((
            format!("{} {}", words::clean(name), words::percent(rate.get())),
            tax,
            false,
        )),
        Tax::ReverseCharge => sums.push(("Tax (reverse charge)".to_owned(), tax, false)),
    }
    sums.push(("Total credited, USD".to_owned(), total, true));
    sums.into_iter()
        .map(|(label, amount, strong)| Sum {
            label,
            amount: words::money(amount),
            strong,
        })
        .collect()
}
