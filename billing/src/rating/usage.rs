//! Lines for usage: one for each meter of a stretch.

use super::RatingError;
use super::gather::{Pool, Pools};
use super::line::{DayOver, Line, LineKind, Quantity, Share, UsageDetail};
use super::terms::Stretch;
use crate::exact::{cost, split};
use crate::price_book::{Per, UsageTerms};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime, Time};

/// What one database used, and what of it has a price.
#[derive(Default)]
struct Counted {
    used: u128,
    billed: u128,
}

/// The lines of a stretch, in the order of [`Meter::ALL`]; none for a meter that was not used.
pub(super) fn usage_lines(stretch: &Stretch<'_>, pools: &Pools) -> Result<Vec<Line>, RatingError> {
    let mut lines = Vec::new();
    for meter in Meter::ALL {
        if let Some(pools) = pools.get(&meter) {
            lines.push(usage_line(stretch, meter, pools)?);
        }
    }
    Ok(lines)
}

fn usage_line(
    stretch: &Stretch<'_>,
    meter: Meter,
    pools: &BTreeMap<OffsetDateTime, Pool>,
) -> Result<Line, RatingError> {
    let mut databases: BTreeMap<DatabaseId, Counted> = BTreeMap::new();
    let mut over = Vec::new();
    for (from, pool) in pools {
        let used = sum(pool.values().copied())?;
        let included = included(stretch, meter, *from, used)?;
        let billed = used.saturating_sub(included);
        let daily = stretch.included(meter).is_some_and(|i| i.per == Per::Day);
        if daily && billed > 0 {
            over.push(DayOver {
                from: *from,
                used: used.try_into()?,
                included: included.try_into()?,
            });
        }
        let weights: Vec<u128> = pool.values().copied().collect();
        let parts = split(billed, &weights).ok_or(RatingError::OutOfRange)?;
        for ((database, used), billed) in pool.iter().zip(parts) {
            let counted = databases.entry(*database).or_default();
            counted.used = sum([counted.used, *used])?;
            counted.billed = sum([counted.billed, billed])?;
        }
    }
    priced(stretch, meter, &databases, over)
}

/// What of a pool that begins at `from` is included.
fn included(
    stretch: &Stretch<'_>,
    meter: Meter,
    from: OffsetDateTime,
    used: u128,
) -> Result<u128, RatingError> {
    if stretch.plan.usage == UsageTerms::Limit {
        return Ok(used);
    }
    let Some(amount) = stretch.included(meter) else {
        return Ok(0);
    };
    let to = match amount.per {
        Per::Day => (from.replace_time(Time::MIDNIGHT) + Duration::DAY).min(stretch.to),
        Per::Moment | Per::Period => stretch.to,
    };
    amount
        .within(from, to, stretch.period)
        .ok_or(RatingError::OutOfRange)
}

fn priced(
    stretch: &Stretch<'_>,
    meter: Meter,
    databases: &BTreeMap<DatabaseId, Counted>,
    over: Vec<DayOver>,
) -> Result<Line, RatingError> {
    let used = sum(databases.values().map(|counted| counted.used))?;
    let billed = sum(databases.values().map(|counted| counted.billed))?;
    let unit_price = stretch.price(meter);
    let sold_unit = meter.counted_per_sold(stretch.period.seconds());
    let amount = cost(billed, unit_price, sold_unit).ok_or(RatingError::OutOfRange)?;
    let weights: Vec<u128> = databases.values().map(|counted| counted.billed).collect();
    let cents = u128::from(amount.get().unsigned_abs());
    let parts = split(cents, &weights).ok_or(RatingError::OutOfRange)?;
    let shares = databases
        .iter()
        .zip(parts)
        .map(|((database, counted), part)| {
            Ok(Share {
                database: *database,
                used: counted.used.try_into()?,
                billed: counted.billed.try_into()?,
                amount: Cents::new(i64::try_from(part).map_err(|_| RatingError::OutOfRange)?),
            })
        });
    let detail = UsageDetail {
        meter,
        used: used.try_into()?,
        included: Quantity::try_from(used - billed)?,
        billed: billed.try_into()?,
        unit_price,
        over,
        shares: shares.collect::<Result<_, RatingError>>()?,
    };
    Ok(Line {
        kind: LineKind::Usage(meter),
        plan: stretch.plan.id.clone(),
        book: stretch.book.version.clone(),
        from: stretch.from,
        to: stretch.to,
        corrects: None,
        amount,
        usage: Some(detail),
    })
}

fn sum(counts: impl IntoIterator<Item = u128>) -> Result<u128, RatingError> {
    counts
        .into_iter()
        .try_fold(0_u128, u128::checked_add)
        .ok_or(RatingError::OutOfRange)
}
