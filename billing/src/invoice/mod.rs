//! Invoices: lines with credits and tax, a state, and a number.
//!
//! An invoice is a draft until it is final: then it has a number, and its lines never change again.
//! What turns out wrong later is a credit note, or a correction on the next invoice.
//!
//! The order of amounts: the lines' sum, less credits, is the net amount; tax is on that, rounded
//! once. A total below zero stays in the customer's favor (the ledger carries it).

mod credit;
mod credit_note;
mod number;
mod state;
mod tax;

pub use credit::{Credit, CreditUse};
pub use credit_note::{CreditNote, CreditedLine};
pub use number::{InvalidNumber, Number, Series, is_gapless};
pub use state::{IllegalMove, InvoiceState};
pub use tax::Tax;

use crate::rating::Line;
use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::{Cents, Currency};
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceError {
    #[error(transparent)]
    Move(#[from] IllegalMove),
    #[error("an invoice that is {0:?} cannot be credited")]
    NotCreditable(InvoiceState),
    #[error("line {line} cannot be credited with {amount}: {left} of it is left")]
    CreditedTooMuch {
        line: usize,
        amount: Cents,
        left: Cents,
    },
    #[error("{amount} cannot be credited: {left} of the invoice's net amount is left")]
    NetCreditedTooMuch { amount: Cents, left: Cents },
    #[error("a credit note credits at least one line")]
    EmptyCreditNote,
    #[error("an amount is out of range")]
    OutOfRange,
}

/// An invoice. From its state `final` on only state changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    pub id: InvoiceId,
    pub organization: OrganizationId,
    pub currency: Currency,
    pub state: InvoiceState,
    /// From `final` on.
    pub number: Option<Number>,
    pub lines: Vec<Line>,
    pub credits: Vec<CreditUse>,
    pub tax: Tax,
    pub totals: Totals,
}

/// The amounts of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// The sum of the lines.
    pub lines: Cents,
    /// What credits paid of it.
    pub credits: Cents,
    /// Lines less credits; what tax is on.
    pub net: Cents,
    pub tax: Cents,
    pub total: Cents,
}

impl Invoice {
    /// A draft of these lines, paid for by credits as far as they go.
    ///
    /// # Errors
    /// An amount is out of range.
    pub fn draft(
        id: InvoiceId,
        organization: OrganizationId,
        lines: Vec<Line>,
        credits: &[Credit],
        tax: Tax,
        at: OffsetDateTime,
    ) -> Result<Self, InvoiceError> {
        let sum = Cents::checked_sum(lines.iter().map(|line| line.amount))
            .ok_or(InvoiceError::OutOfRange)?;
        let credits = credit::apply(credits, sum, at)?;
        let totals = Totals::of(sum, &credits, &tax)?;
        Ok(Self {
            id,
            organization,
            currency: Currency::Usd,
            state: InvoiceState::Draft,
            number: None,
            lines,
            credits,
            tax,
            totals,
        })
    }

    /// Makes a draft final and numbers it. `last` is the last number that was given to an invoice.
    ///
    /// # Errors
    /// It is no draft.
    pub fn finalize(
        &mut self,
        last: Option<Number>,
        at: OffsetDateTime,
    ) -> Result<Number, InvoiceError> {
        self.state = self.state.moved_to(InvoiceState::Final)?;
        let number = Number::following(Series::Invoice, last, at);
        self.number = Some(number);
        Ok(number)
    }
}

impl Totals {
    fn of(lines: Cents, credits: &[CreditUse], tax: &Tax) -> Result<Self, InvoiceError> {
        let read = || {
            let credits = Cents::checked_sum(credits.iter().map(|credit| credit.amount))?;
            let net = lines.checked_sub(credits)?;
            let tax = tax.on(net)?;
            Some(Self {
                lines,
                credits,
                net,
                tax,
                total: net.checked_add(tax)?,
            })
        };
        read().ok_or(InvoiceError::OutOfRange)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::exact::Ppm;
    use crate::rating::LineKind;
    use time::macros::datetime;
    use uuid::Uuid;

    pub(crate) fn line(cents: i64) -> Line {
        let version = "\"2026-11\"";
        Line {
            kind: LineKind::Fee,
            plan: "pro-starter".parse().expect("plan"),
            book: serde_json::from_str(version).expect("version"),
            from: datetime!(2026-11-01 0:00 UTC),
            to: datetime!(2026-12-01 0:00 UTC),
            corrects: None,
            amount: Cents::new(cents),
            usage: None,
        }
    }

    pub(crate) fn invoice(cents: &[i64], ppm: u32) -> Invoice {
        let tax = Tax::Rate {
            name: "VAT".into(),
            rate: Ppm::try_from(ppm).expect("rate"),
        };
        Invoice::draft(
            InvoiceId::from_uuid(Uuid::from_u128(1)),
            OrganizationId::from_uuid(Uuid::from_u128(2)),
            cents.iter().copied().map(line).collect(),
            &[],
            tax,
            datetime!(2026-12-01 3:00 UTC),
        )
        .expect("invoice")
    }

    #[test]
    fn tax_is_on_the_net_amount_and_rounded_once() {
        // 19 % of each line alone would be 1 cent three times.
        let totals = invoice(&[3, 3, 3], 190_000).totals;
        assert_eq!(totals.tax, Cents::new(2));
        assert_eq!(totals.total, Cents::new(11));
        // Half a cent goes up: 7.5 % of 20 cents are 1.5.
        assert_eq!(invoice(&[20], 75_000).totals.tax, Cents::new(2));
        assert_eq!(invoice(&[-20], 75_000).totals.tax, Cents::new(-2));
    }

    #[test]
    fn a_draft_becomes_final_once() {
        let at = datetime!(2026-12-01 3:00 UTC);
        let mut draft = invoice(&[2900], 0);
        let number = draft.finalize(None, at).expect("final");
        assert_eq!(number.to_string(), "INV-2026-000001");
        assert_eq!(draft.number, Some(number));
        assert!(draft.finalize(Some(number), at).is_err());
    }
}
