//! An invoice's lines as they are sent: what credits paid is taken off, and the tax, which is on
//! the net amount and rounded once, is shared among them to the cent.

use crate::invoice::{Invoice, Tax};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// Most lines that are sent; Stripe takes 250. What is more is sent as one line.
const LINES_MAX: usize = 200;

/// A line as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentLine {
    pub description: String,
    pub amount: Cents,
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
    pub tax: Option<LineTax>,
}

/// A line's share of the tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineTax {
    pub name: String,
    /// Parts per million.
    pub rate_ppm: u32,
    pub taxable: Cents,
    pub amount: Cents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lines' sum is out of range")]
pub struct TooManyLines;

/// The lines of an invoice, described by `describe`; `balance` is what we owed the customer from
/// earlier invoices and took off this one.
///
/// # Errors
/// A sum is out of range.
pub fn sent_lines(
    invoice: &Invoice,
    balance: Cents,
    describe: impl Fn(&crate::rating::Line) -> String,
    at: OffsetDateTime,
) -> Result<Vec<SentLine>, TooManyLines> {
    let mut lines: Vec<SentLine> = invoice
        .lines
        .iter()
        .map(|line| SentLine {
            description: describe(line),
            amount: line.amount,
            from: line.from,
            to: line.to,
            tax: None,
        })
        .collect();
    if lines.len() > LINES_MAX {
        let rest = lines.split_off(LINES_MAX - 1);
        let amount = Cents::checked_sum(rest.iter().map(|line| line.amount));
        lines.push(SentLine {
            description: format!("{} more lines, on our invoice", rest.len()),
            amount: amount.ok_or(TooManyLines)?,
            from: rest.iter().map(|line| line.from).min().unwrap_or(at),
            to: rest.iter().map(|line| line.to).max().unwrap_or(at),
            tax: None,
        });
    }
    let taken_off = |description: &str, amount: Cents| {
        Ok::<_, TooManyLines>(SentLine {
            description: description.into(),
            amount: Cents::ZERO.checked_sub(amount).ok_or(TooManyLines)?,
            from: at,
            to: at,
            tax: None,
        })
    };
    if invoice.totals.credits != Cents::ZERO {
        lines.push(taken_off("Credits", invoice.totals.credits)?);
    }
    if let Tax::Rate { name, rate } = &invoice.tax {
        let amounts: Vec<Cents> = lines.iter().map(|line| line.amount).collect();
        let shares = shares(invoice.totals.tax, &amounts).ok_or(TooManyLines)?;
        for (line, amount) in lines.iter_mut().zip(shares) {
            line.tax = Some(LineTax {
                name: name.clone(),
                rate_ppm: rate.get(),
                taxable: line.amount,
                amount,
            });
        }
    }
    // It was taxed where it came from.
    if balance != Cents::ZERO {
        lines.push(taken_off("From earlier invoices", balance)?);
    }
    Ok(lines)
}

/// Shares `whole` by the sizes of parts: the first so many parts together get their share, rounded
/// down, so that all together get all of it.
fn shares(whole: Cents, parts: &[Cents]) -> Option<Vec<Cents>> {
    let sum = Cents::checked_sum(parts.iter().copied())?;
    let mut given = Vec::with_capacity(parts.len());
    let (mut before, mut so_far) = (0_i128, 0_i128);
    for (index, part) in parts.iter().enumerate() {
        so_far += i128::from(part.get());
        let until = if index + 1 == parts.len() || sum == Cents::ZERO {
            i128::from(whole.get())
        } else {
            (i128::from(whole.get()) * so_far).div_euclid(i128::from(sum.get()))
        };
        given.push(Cents::new(i64::try_from(until - before).ok()?));
        before = until;
    }
    Some(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invoice::tests::invoice;
    use proptest::prelude::*;

    #[test]
    fn the_tax_is_shared_to_the_cent() {
        let invoice = invoice(&[3, 3, 3], 190_000);
        let at = invoice.lines[0].from;
        let sent = sent_lines(&invoice, Cents::new(7), |_| "x".into(), at).expect("lines");
        let taxes: Vec<i64> = sent
            .iter()
            .filter_map(|line| Some(line.tax.as_ref()?.amount.get()))
            .collect();
        assert_eq!(taxes, [0, 1, 1]);
    }

    #[test]
    fn of_many_lines_the_last_are_one() {
        let invoice = invoice(&[1; 500], 0);
        let at = invoice.lines[0].from;
        let sent = sent_lines(&invoice, Cents::new(7), |_| "x".into(), at).expect("lines");
        assert_eq!(sent.len(), LINES_MAX + 1);
        assert_eq!(sent[LINES_MAX].amount, Cents::new(-7));
        assert_eq!(sent[LINES_MAX - 1].amount, Cents::new(301));
    }

    proptest! {
        #[test]
        fn shares_add_up(whole in -1_000_000i64..1_000_000, parts in prop::collection::vec(-10_000i64..10_000, 1..40)) {
            let parts: Vec<Cents> = parts.into_iter().map(Cents::new).collect();
            let shares = shares(Cents::new(whole), &parts).expect("shares");
            prop_assert_eq!(Cents::checked_sum(shares), Some(Cents::new(whole)));
        }
    }
}
