//! Credit notes: what takes back a part of an invoice, or all of it.

use super::{Invoice, InvoiceError, InvoiceState, Number, Series};
use lumadb_contract::id::{CreditNoteId, InvoiceId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// What is taken back of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditedLine {
    /// Position on the invoice, from 0 on.
    pub line: usize,
    pub amount: Cents,
}

/// A credit note, final from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNote {
    pub id: CreditNoteId,
    pub invoice: InvoiceId,
    pub number: Number,
    pub lines: Vec<CreditedLine>,
    pub net: Cents,
    pub tax: Cents,
    pub total: Cents,
}

impl CreditNote {
    /// Credits lines of an invoice. `earlier` are all its credit notes so far, `last` is the last
    /// number that was given to a credit note.
    ///
    /// Its tax is the difference between the tax on what was left and on what is left now: notes
    /// that credit the whole invoice credit its whole tax, to the cent.
    ///
    /// # Errors
    /// The invoice is a draft or void, or less is left than would be credited.
    pub fn issue(
        id: CreditNoteId,
        invoice: &Invoice,
        earlier: &[Self],
        lines: Vec<CreditedLine>,
        last: Option<Number>,
        at: OffsetDateTime,
    ) -> Result<Self, InvoiceError> {
        if matches!(invoice.state, InvoiceState::Draft | InvoiceState::Void) {
            return Err(InvoiceError::NotCreditable(invoice.state));
        }
        if lines.is_empty() {
            return Err(InvoiceError::EmptyCreditNote);
        }
        check_lines(invoice, earlier, &lines)?;
        let net = sum(lines.iter().map(|line| line.amount))?;
        let left = less(
            invoice.totals.net,
            sum(earlier.iter().map(|note| note.net))?,
        )?;
        if net > left {
            return Err(InvoiceError::NetCreditedTooMuch { amount: net, left });
        }
        let tax_on = |amount| invoice.tax.on(amount).ok_or(InvoiceError::OutOfRange);
        let tax = less(tax_on(left)?, tax_on(less(left, net)?)?)?;
        Ok(Self {
            id,
            invoice: invoice.id,
            number: Number::following(Series::CreditNote, last, at),
            lines,
            net,
            tax,
            total: sum([net, tax])?,
        })
    }
}

/// No line is credited beyond its amount, whatever notes and however often one names it.
fn check_lines(
    invoice: &Invoice,
    earlier: &[CreditNote],
    lines: &[CreditedLine],
) -> Result<(), InvoiceError> {
    for (index, credited) in lines.iter().enumerate() {
        let before = earlier.iter().flat_map(|note| &note.lines);
        let before = before.chain(&lines[..index]);
        let same = before.filter(|other| other.line == credited.line);
        let amount = invoice.lines.get(credited.line).map(|line| line.amount);
        let left = less(
            amount.unwrap_or_default(),
            sum(same.map(|other| other.amount))?,
        )?;
        if credited.amount <= Cents::ZERO || credited.amount > left {
            return Err(InvoiceError::CreditedTooMuch {
                line: credited.line,
                amount: credited.amount,
                left,
            });
        }
    }
    Ok(())
}

fn sum(amounts: impl IntoIterator<Item = Cents>) -> Result<Cents, InvoiceError> {
    Cents::checked_sum(amounts).ok_or(InvoiceError::OutOfRange)
}

fn less(amount: Cents, other: Cents) -> Result<Cents, InvoiceError> {
    amount.checked_sub(other).ok_or(InvoiceError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::tests::invoice;
    use proptest::prelude::*;
    use time::macros::datetime;
    use uuid::Uuid;

    fn issue(
        invoice: &Invoice,
        earlier: &[CreditNote],
        lines: &[(usize, i64)],
    ) -> Result<CreditNote, InvoiceError> {
        CreditNote::issue(
            CreditNoteId::from_uuid(Uuid::from_u128(9)),
            invoice,
            earlier,
            lines
                .iter()
                .map(|(line, cents)| CreditedLine {
                    line: *line,
                    amount: Cents::new(*cents),
                })
                .collect(),
            earlier.last().map(|note| note.number),
            datetime!(2026-12-05 0:00 UTC),
        )
    }

    fn finalized(cents: &[i64], ppm: u32) -> Invoice {
        let mut invoice = invoice(cents, ppm);
        let at = datetime!(2026-12-01 0:00 UTC);
        invoice.finalize(None, at).expect("final");
        invoice
    }

    #[test]
    fn no_more_is_credited_than_was_invoiced() {
        assert_eq!(
            issue(&invoice(&[100], 0), &[], &[(0, 1)]),
            Err(InvoiceError::NotCreditable(InvoiceState::Draft))
        );
        let invoice = finalized(&[100, 50, -20], 0);
        let first = issue(&invoice, &[], &[(0, 60)]).expect("note");
        assert_eq!(first.number.to_string(), "CN-2026-000001");
        assert!(issue(&invoice, std::slice::from_ref(&first), &[(0, 40)]).is_ok());
        for bad in [
            vec![(0, 41)],
            vec![(0, 20), (0, 21)],
            vec![(2, 1)],
            vec![(3, 1)],
            vec![(0, 0)],
            vec![(0, -1)],
            // Lines have 90 left, but the net amount 70 only.
            vec![(0, 40), (1, 50)],
            vec![],
        ] {
            assert!(
                issue(&invoice, std::slice::from_ref(&first), &bad).is_err(),
                "{bad:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn notes_for_the_whole_invoice_credit_its_whole_tax(
            cents in prop::collection::vec(1_i64..100_000, 1..6),
            cuts in prop::collection::vec(1_i64..100_000, 6),
            ppm in 0_u32..=300_000
        ) {
            let invoice = finalized(&cents, ppm);
            let mut notes: Vec<CreditNote> = Vec::new();
            for (index, (cents, cut)) in cents.iter().zip(&cuts).enumerate() {
                let first = cut % cents;
                for part in [first, cents - first] {
                    if part > 0 {
                        notes.push(issue(&invoice, &notes, &[(index, part)]).expect("note"));
                    }
                }
            }
            let total = Cents::checked_sum(notes.iter().map(|note| note.total));
            prop_assert_eq!(total, Some(invoice.totals.total));
            let tax = Cents::checked_sum(notes.iter().map(|note| note.tax));
            prop_assert_eq!(tax, Some(invoice.totals.tax));
        }
    }
}
