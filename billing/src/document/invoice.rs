//! An invoice in words.

use super::content::{Document, Fact, Stamp, Sum, Tone};
use super::party::{Context, HowToPay};
use super::{line, words};
use crate::invoice::{Invoice, InvoiceState, Tax};
use crate::period::Period;
use lumadb_contract::money::Cents;

/// What an invoice says. A draft says that it is one.
pub fn invoice(invoice: &Invoice, context: &Context<'_>) -> Document {
    let due = due(invoice, context);
    Document {
        title: if invoice.state == InvoiceState::Draft {
            "Draft invoice"
        } else {
            "Invoice"
        },
        number: invoice.number.map(|number| number.to_string()),
        stamp: stamp(invoice.state),
        facts: facts(invoice, context),
        seller: context.seller.block("From"),
        buyer: context.buyer.block("Billed to"),
        headline: headline(invoice, context, due),
        sections: line::sections(&invoice.lines, context),
        sums: sums(invoice, context, due),
        payment: payment(invoice, context, due),
        remarks: remarks(invoice, context),
        days: line::day_tables(&invoice.lines),
        issued_at: context.issued_at,
    }
}

/// What is still to be paid; below zero, what is in the customer's favor. `None`: out of range.
fn due(invoice: &Invoice, context: &Context<'_>) -> Option<Cents> {
    if invoice.state == InvoiceState::Void {
        return Some(Cents::ZERO);
    }
    let paid = context.payments.iter().map(|payment| payment.amount);
    let credited = context.credit_notes.iter().map(|issued| issued.note.total);
    let less = Cents::checked_sum(paid.chain(credited))?;
    invoice.totals.total.checked_sub(less)
}

const fn stamp(state: InvoiceState) -> Option<Stamp> {
    let (text, tone) = match state {
        InvoiceState::Draft => ("Draft", Tone::Calm),
        InvoiceState::Final => return None,
        InvoiceState::Paid => ("Paid", Tone::Good),
        InvoiceState::Overdue => ("Overdue", Tone::Bad),
        InvoiceState::Void => ("Void", Tone::Calm),
    };
    Some(Stamp { text, tone })
}

fn facts(invoice: &Invoice, context: &Context<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(number) = invoice.number {
        facts.push(Fact::new("Invoice number", number.to_string()));
    }
    let issued = words::date(context.issued_at);
    if invoice.state == InvoiceState::Draft {
        facts.push(Fact::new("As of", issued));
    } else {
        facts.push(Fact::new("Issued", issued));
    }
    if let Some(due_at) = context.due_at {
        facts.push(Fact::new("Due", words::date(due_at)));
    }
    if let Some(period) = period(invoice) {
        facts.push(Fact::new("Usage of", words::month(period)));
    }
    facts
}

/// The month whose usage it bills.
fn period(invoice: &Invoice) -> Option<Period> {
    let usage = invoice
        .lines
        .iter()
        .find(|line| line.usage.is_some() && line.corrects.is_none());
    usage.and_then(|line| Period::of(line.from).ok())
}

fn headline(invoice: &Invoice, context: &Context<'_>, due: Option<Cents>) -> Fact {
    let total = words::money(invoice.totals.total);
    match (invoice.state, due) {
        (InvoiceState::Draft, _) => Fact::new(
            "So far. Amounts change until the month is over; this is no invoice.",
            total,
        ),
        (InvoiceState::Void, _) => Fact::new("Nothing is owed for this invoice.", total),
        (_, Some(due)) if due > Cents::ZERO => {
            let label = match context.due_at {
                Some(at) => format!("Due on {}", words::date(at)),
                None => "Due".to_owned(),
            };
            Fact::new(label, words::money(due))
        }
        (_, Some(due)) if due.is_negative() => {
            let favor = due.checked_neg().unwrap_or_default();
            Fact::new(
                "In your favor, taken off your next invoice",
                words::money(favor),
            )
        }
        (_, Some(_)) => Fact::new("Paid in full. Thank you.", total),
        (_, None) => Fact::new("Total", total),
    }
}

fn sums(invoice: &Invoice, context: &Context<'_>, due: Option<Cents>) -> Vec<Sum> {
    let totals = invoice.totals;
    let mut sums = Vec::new();
    let mut push = |label: String, amount: Cents, strong: bool| {
        sums.push(Sum {
            label,
            amount: words::money(amount),
            strong,
        });
    };
    push("Sum of the lines".to_owned(), totals.lines, false);
    if !totals.credits.is_zero() {
        push("Your credits".to_owned(), negated(totals.credits), false);
        push("Net amount".to_owned(), totals.net, false);
    }
    match &invoice.tax {
        Tax::None => {}
        Tax::Rate { name, rate } => push(
            format!("{} {}", words::clean(name), words::percent(rate.get())),
            totals.tax,
            false,
        ),
        Tax::ReverseCharge => push("Tax (reverse charge)".to_owned(), totals.tax, false),
    }
    let settled = !context.payments.is_empty() || !context.credit_notes.is_empty();
    push("Total, USD".to_owned(), totals.total, true);
    for issued in context.credit_notes {
        push(
            format!(
                "Credit note {}, {}",
                issued.note.number,
                words::date(issued.at)
            ),
            negated(issued.note.total),
            false,
        );
    }
    for payment in context.payments {
        push(
            format!(
                "{} {}, {}",
                if payment.amount.is_negative() {
                    "Paid back"
                } else {
                    "Paid"
                },
                words::date(payment.at),
                words::clean(&payment.method)
            ),
            negated(payment.amount),
            false,
        );
    }
    if let Some(due) = due.filter(|_| settled) {
        if due.is_negative() {
            push("In your favor".to_owned(), negated(due), true);
        } else {
            push("Still due".to_owned(), due, true);
        }
    }
    sums
}

fn negated(amount: Cents) -> Cents {
    amount.checked_neg().unwrap_or(amount)
}

fn payment(invoice: &Invoice, context: &Context<'_>, due: Option<Cents>) -> Vec<Fact> {
    if !invoice.state.is_open() || due.is_some_and(|due| due <= Cents::ZERO) {
        return Vec::new();
    }
    match context.how_to_pay {
        HowToPay::Unsaid => Vec::new(),
        HowToPay::Charged { method } => vec![Fact::new(
            "By card",
            format!(
                "We charge {}. There is nothing to do.",
                words::clean(method)
            ),
        )],
        HowToPay::Online { url } => vec![Fact::new("Online", words::clean(url))],
        HowToPay::Transfer { account } => {
            let mut facts: Vec<Fact> = account
                .iter()
                .map(|(label, value)| Fact::new(words::clean(label), words::clean(value)))
                .collect();
            if let Some(number) = invoice.number {
                facts.push(Fact::new("Reference", number.to_string()));
            }
            facts
        }
    }
}

fn remarks(invoice: &Invoice, context: &Context<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    if invoice.tax == Tax::ReverseCharge {
        remarks.push(
            "Reverse charge: the customer owes the tax on this supply to their own tax office."
                .to_owned(),
        );
    }
    if invoice.lines.iter().any(|line| line.usage.is_some()) {
        remarks.push(
            "Days and months are those of UTC. 1 GB is 1,000,000,000 bytes; a GB-month is a GB held \
             through the whole month, a vCPU-hour one vCPU granted for an hour while a database is \
             awake. Each line is rounded once, half a cent up; the sum adds the rounded lines."
                .to_owned(),
        );
    }
    if let Some(url) = context.url {
        remarks.push(format!(
            "Every line opens into its hours and samples at {}",
            words::clean(url)
        ));
    }
    remarks
}
