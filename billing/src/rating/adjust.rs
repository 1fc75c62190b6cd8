//! What changes the price of usage as a whole.
//!
//! In a stretch: first what the plan's fee covers, then the discount on the rest. In the period: the
//! spend cap, then the minimum. None of them makes more usage cheaper: each lets through all, a part
//! or nothing of one cent more.

use super::RatingError;
use super::line::{Line, LineKind, total};
use super::terms::Stretch;
use crate::price_book::UsageTerms;
use lumadb_contract::money::Cents;

/// Adds the lines of one stretch that follow from its lines for usage.
pub(super) fn of_stretch(stretch: &Stretch<'_>, lines: &mut Vec<Line>) -> Result<(), RatingError> {
    let mut left = total(lines)?;
    if stretch.plan.usage == UsageTerms::FeeCovers {
        let covered = stretch.prorated(stretch.fee)?.min(left);
        push(
            stretch,
            stretch,
            LineKind::Covered,
            less(Cents::ZERO, covered)?,
            lines,
        );
        left = less(left, covered)?;
    }
    let discount = stretch.agreement.discount.of(left);
    let discount = discount.ok_or(RatingError::OutOfRange)?;
    push(
        stretch,
        stretch,
        LineKind::Discount,
        less(Cents::ZERO, discount)?,
        lines,
    );
    Ok(())
}

/// Adds the lines of the period that follow from those of all its stretches.
pub(super) fn of_period(
    stretches: &[Stretch<'_>],
    spend_cap: Option<Cents>,
    fees: Cents,
    lines: &mut Vec<Line>,
) -> Result<(), RatingError> {
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else {
        return Ok(());
    };
    let usage = total(lines)?;
    let mut cost = fees.checked_add(usage).ok_or(RatingError::OutOfRange)?;
    if let Some(cap) = spend_cap {
        // Fees are due whatever the cap says: at most all usage is taken off.
        let above = less(cost, cap)?.max(Cents::ZERO).min(usage);
        push(
            first,
            last,
            LineKind::AboveCap,
            less(Cents::ZERO, above)?,
            lines,
        );
        cost = less(cost, above)?;
    }
    let mut minimum = Cents::ZERO;
    for stretch in stretches {
        let part = stretch.prorated(stretch.agreement.minimum)?;
        minimum = minimum.checked_add(part).ok_or(RatingError::OutOfRange)?;
    }
    let missing = less(minimum, cost)?.max(Cents::ZERO);
    push(first, last, LineKind::Minimum, missing, lines);
    Ok(())
}

fn less(amount: Cents, other: Cents) -> Result<Cents, RatingError> {
    amount.checked_sub(other).ok_or(RatingError::OutOfRange)
}

/// A line from the start of one stretch to the end of another, unless it is of nothing.
fn push(
    first: &Stretch<'_>,
    last: &Stretch<'_>,
    kind: LineKind,
    amount: Cents,
    lines: &mut Vec<Line>,
) {
    if amount.is_zero() {
        return;
    }
    lines.push(Line {
        kind,
        plan: last.plan.id.clone(),
        book: last.book.version.clone(),
        from: first.from,
        to: last.to,
        corrects: None,
        amount,
        usage: None,
    });
}
