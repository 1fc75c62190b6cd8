//! What a document says, before it is known on what.

use super::words;
use time::OffsetDateTime;

/// Which of the few colors something has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Calm,
}

/// What stands over everything: `Paid`, `Draft`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) text: &'static str,
    pub(super) tone: Tone,
}

/// A label and what it labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) label: String,
    pub(super) value: String,
}

impl Fact {
    pub(super) fn new(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            value: value.into(),
        }
    }
}

/// Seller or buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) heading: &'static str,
    pub(super) name: String,
    pub(super) lines: Vec<String>,
}

/// Rows under one title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) rows: Vec<Row>,
}

/// A line of the invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// From 1 on, through all sections.
    pub(super) position: usize,
    pub(super) title: String,
    pub(super) explained: Vec<String>,
    pub(super) quantity: String,
    pub(super) unit_price: String,
    pub(super) amount: String,
    pub(super) parts: Vec<Part>,
}

/// One database's part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) quantity: String,
    pub(super) amount: String,
}

/// A row below the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) label: String,
    pub(super) amount: String,
    /// Whether it is what the reader looks for.
    pub(super) strong: bool,
}

/// Days on which more was used than was included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DayTable {
    pub(super) title: String,
    pub(super) days: Vec<Day>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) date: String,
    pub(super) used: String,
    pub(super) included: String,
    pub(super) billed: String,
}

/// An invoice or a credit note, ready to be written as HTML or PDF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub(super) title: &'static str,
    pub(super) number: Option<String>,
    pub(super) stamp: Option<Stamp>,
    pub(super) facts: Vec<Fact>,
    pub(super) seller: Block,
    pub(super) buyer: Block,
    /// The amount that it is all about, and what is to be said of it.
    pub(super) headline: Fact,
    pub(super) sections: Vec<Section>,
    pub(super) sums: Vec<Sum>,
    /// How to pay.
    pub(super) payment: Vec<Fact>,
    pub(super) remarks: Vec<String>,
    pub(super) days: Vec<DayTable>,
    pub(super) issued_at: OffsetDateTime,
}

impl Document {
    /// `Invoice INV-2026-000001`
    pub fn title(&self) -> String {
        match &self.number {
            Some(number) => format!("{} {number}", self.title),
            None => self.title.to_owned(),
        }
    }

    /// Under which name it is kept, without an ending: `INV-2026-000001`.
    pub fn file_name(&self) -> String {
        self.number
            .clone()
            .unwrap_or_else(|| self.title.to_lowercase().replace(' ', "-"))
    }

    /// What stands at the foot of every page.
    pub(super) fn foot(&self) -> String {
        format!(
            "{} \u{b7} {} \u{b7} {}",
            self.title(),
            self.seller.name,
            words::date(self.issued_at)
        )
    }
}
