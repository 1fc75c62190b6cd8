//! The documents that a scenario leads to: an invoice for each change of the plan, the invoice that
//! closes the period, and corrections of what came late.

use super::books;
use super::scenario::Scenario;
use lumadb_billing::invoice::{Invoice, Tax};
use lumadb_billing::rating::{
    Account, Line, Rated, corrections, fees_at_change, fees_in_advance, rate,
};
use lumadb_contract::id::{InvoiceId, OrganizationId};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) struct Documents {
    pub(crate) rated: Rated,
    pub(crate) changes: Vec<(OffsetDateTime, Invoice)>,
    pub(crate) closing: Invoice,
    pub(crate) corrections: Vec<Line>,
}

pub(crate) fn documents(scenario: &Scenario) -> Documents {
    let books = books();
    let account = scenario.account();
    let rated = rate(&books, &account, scenario.period).expect("rated");
    let mut lines = rated.lines.clone();
    let following = scenario.period.following().expect("a period");
    lines.extend(fees_in_advance(&books, &account.terms, following).expect("fees"));
    let closed_at = scenario.period.end();
    let later = rate(&books, &scenario.account_later(), scenario.period).expect("rated");
    Documents {
        changes: changes(scenario, &account),
        closing: invoice(1, lines, scenario, closed_at, true),
        corrections: corrections(scenario.period, &rated.lines, &later.lines).expect("lines"),
        rated,
    }
}

fn changes(scenario: &Scenario, account: &Account) -> Vec<(OffsetDateTime, Invoice)> {
    let mut changes = Vec::new();
    for (index, terms) in account.terms.iter().enumerate() {
        if !scenario.period.contains(terms.from) {
            continue;
        }
        let lines = fees_at_change(&books(), &account.terms[..=index]).expect("fees");
        if !lines.is_empty() {
            let id = u128::try_from(index).expect("few") + 10;
            changes.push((terms.from, invoice(id, lines, scenario, terms.from, false)));
        }
    }
    changes
}

fn invoice(
    id: u128,
    lines: Vec<Line>,
    scenario: &Scenario,
    at: OffsetDateTime,
    with_credits: bool,
) -> Invoice {
    let credits = if with_credits {
        scenario.credits()
    } else {
        Vec::new()
    };
    Invoice::draft(
        InvoiceId::from_uuid(Uuid::from_u128(id)),
        OrganizationId::from_uuid(Uuid::from_u128(1)),
        lines,
        &credits,
        scenario.tax(),
        at,
    )
    .expect("invoice")
}

/// A draft of these lines, without credits and tax.
pub(crate) fn drafted(lines: Vec<Line>) -> Invoice {
    Invoice::draft(
        InvoiceId::from_uuid(Uuid::from_u128(1)),
        OrganizationId::from_uuid(Uuid::from_u128(1)),
        lines,
        &[],
        Tax::None,
        OffsetDateTime::UNIX_EPOCH,
    )
    .expect("invoice")
}
