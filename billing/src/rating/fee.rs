//! Fees, in advance: for a whole period when it starts, for the rest of it when the plan changes.

use super::RatingError;
use super::input::Terms;
use super::line::{Line, LineKind};
use super::terms::{due, fee, second_of, stretches};
use crate::period::Period;
use crate::price_book::{PriceBook, PriceBooks};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// The fee of a period that begins, under the plan that holds at its start. It goes on the invoice
/// that closes the period before.
///
/// # Errors
/// See [`RatingError`].
pub fn fees_in_advance(
    books: &PriceBooks,
    terms: &[Terms],
    period: Period,
) -> Result<Vec<Line>, RatingError> {
    let book = books.at(period)?;
    let stretches = stretches(book, terms, period)?;
    let at_start = stretches
        .first()
        .filter(|first| first.from == period.start());
    let line = at_start.filter(|first| !first.fee.is_zero()).map(|first| {
        let from = period.start();
        fee_line(book, period, from, &first.plan.id, LineKind::Fee, first.fee)
    });
    Ok(line.into_iter().collect())
}

/// What a change of the plan costs at once: the new fee for the rest of the period, less what was
/// paid of the old one for the same time. `terms` are the plans up to this change, which is the last
/// of them; the first plan of all is a change too.
///
/// In the first second of a period a change costs nothing more: the fee in advance is the new
/// plan's already.
///
/// # Errors
/// See [`RatingError`].
pub fn fees_at_change(books: &PriceBooks, terms: &[Terms]) -> Result<Vec<Line>, RatingError> {
    let Some((after, earlier)) = terms.split_last() else {
        return Ok(Vec::new());
    };
    let from = second_of(after.from);
    let period = Period::of(from)?;
    let book = books.at(period)?;
    let paid_in_advance = earlier
        .first()
        .is_some_and(|first| first.from < period.start());
    if paid_in_advance && from == period.start() {
        return Ok(Vec::new());
    }
    let new = fee(book.plan(&after.plan)?, after)?;
    let mut lines = Vec::new();
    if let Some(before) = earlier.last() {
        let old = fee(book.plan(&before.plan)?, before)?;
        if before.plan == after.plan && old == new {
            return Ok(lines);
        }
        let unused = due(old, from, period)?
            .checked_neg()
            .ok_or(RatingError::OutOfRange)?;
        if !unused.is_zero() {
            let kind = LineKind::FeeUnused;
            lines.push(fee_line(book, period, from, &before.plan, kind, unused));
        }
    }
    let charged = due(new, from, period)?;
    if !charged.is_zero() {
        lines.push(fee_line(
            book,
            period,
            from,
            &after.plan,
            LineKind::Fee,
            charged,
        ));
    }
    Ok(lines)
}

fn fee_line(
    book: &PriceBook,
    period: Period,
    from: OffsetDateTime,
    plan: &crate::price_book::PlanId,
    kind: LineKind,
    amount: Cents,
) -> Line {
    Line {
        kind,
        plan: plan.clone(),
        book: book.version.clone(),
        from,
        to: period.end(),
        corrects: None,
        amount,
        usage: None,
    }
}
