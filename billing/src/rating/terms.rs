//! The stretches of a period: which plan held when.

use super::RatingError;
use super::input::{Agreement, Terms};
use crate::exact::mul_div_half_up;
use crate::period::{Period, seconds_between};
use crate::price_book::{IncludedAmount, Plan, PriceBook};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Cents, Money};
use time::{OffsetDateTime, UtcOffset};

/// A part of a period under one plan and one agreement.
#[derive(Debug, Clone)]
pub(super) struct Stretch<'a> {
    pub period: Period,
    pub from: OffsetDateTime,
    /// Not included.
    pub to: OffsetDateTime,
    pub book: &'a PriceBook,
    pub plan: &'a Plan,
    pub agreement: &'a Agreement,
    /// A whole month's.
    pub fee: Cents,
}

impl Stretch<'_> {
    pub(super) fn included(&self, meter: Meter) -> Option<IncludedAmount> {
        let agreed = self.agreement.included.get(&meter).copied();
        agreed.or_else(|| self.plan.included.get(meter))
    }

    pub(super) fn price(&self, meter: Meter) -> Money {
        let agreed = self.agreement.prices.get(&meter).copied();
        agreed.unwrap_or_else(|| self.book.price(meter))
    }

    /// This stretch's part of a monthly amount. It is the difference between what is due from its
    /// start and what is due from its end: so all stretches of a period add up to the cent.
    pub(super) fn prorated(&self, monthly: Cents) -> Result<Cents, RatingError> {
        let from_start = due(monthly, self.from, self.period)?;
        let from_end = due(monthly, self.to, self.period)?;
        from_start
            .checked_sub(from_end)
            .ok_or(RatingError::OutOfRange)
    }
}

/// What of a monthly amount is due for the time from a moment to the period's end: prorated by the
/// second, rounded half up.
pub(super) fn due(
    monthly: Cents,
    from: OffsetDateTime,
    period: Period,
) -> Result<Cents, RatingError> {
    let cents = u128::try_from(monthly.get()).map_err(|_| RatingError::OutOfRange)?;
    mul_div_half_up(
        cents,
        seconds_between(from, period.end()),
        period.seconds().into(),
    )
    .and_then(|due| i64::try_from(due).ok())
    .map(Cents::new)
    .ok_or(RatingError::OutOfRange)
}

/// The second in which a moment lies, in UTC.
pub(super) fn second_of(at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(UtcOffset::UTC);
    at.replace_nanosecond(0).unwrap_or(at)
}

/// A month's fee: the agreement's, else the plan's.
pub(super) fn fee(plan: &Plan, terms: &Terms) -> Result<Cents, RatingError> {
    let Agreement {
        fee,
        prices,
        minimum,
        ..
    } = &terms.agreement;
    let negative = minimum.is_negative()
        || fee.is_some_and(Cents::is_negative)
        || prices.values().any(|price| *price < Money::ZERO);
    if negative {
        return Err(RatingError::NegativeAgreement { from: terms.from });
    }
    fee.or(plan.fee)
        .ok_or_else(|| RatingError::NoFee(plan.id.clone()))
}

/// Cuts a period by plans. Neighbors that say the same are one stretch; a plan that held for less
/// than its second is none.
pub(super) fn stretches<'a>(
    book: &'a PriceBook,
    terms: &'a [Terms],
    period: Period,
) -> Result<Vec<Stretch<'a>>, RatingError> {
    let mut stretches: Vec<Stretch<'a>> = Vec::new();
    for (index, here) in terms.iter().enumerate() {
        let next = terms.get(index + 1).map(|next| next.from);
        if next.is_some_and(|next| next < here.from) {
            return Err(RatingError::TermsUnordered { from: here.from });
        }
        let from = second_of(here.from).max(period.start());
        let to = next.map_or(period.end(), |next| second_of(next).min(period.end()));
        if from >= to {
            continue;
        }
        let plan = book.plan(&here.plan)?;
        if let Some(last) = stretches.last_mut()
            && last.to == from
            && last.plan.id == plan.id
            && *last.agreement == here.agreement
        {
            last.to = to;
            continue;
        }
        stretches.push(Stretch {
            period,
            from,
            to,
            book,
            plan,
            agreement: &here.agreement,
            fee: fee(plan, here)?,
        });
    }
    Ok(stretches)
}
