//! What a period will have cost at its end, if databases go on as in the last days.

use super::gather::{self, Piece};
use super::input::Account;
use super::{Rated, RatingError, rate_pieces};
use crate::exact::mul_div_half_up;
use crate::period::{Period, us_between};
use crate::price_book::PriceBooks;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// How far back it looks: a week has every day of the week in it.
const WINDOW: Duration = Duration::days(7);

/// A database that is younger counts as so old: its first minutes say little.
const OBSERVED_MIN: Duration = Duration::HOUR;

/// Rates the usage of a period so far and, for the time from `now` to its end, what each database
/// uses at its pace of the last [`WINDOW`]. The account's usage may begin before the period: that
/// serves to find the pace.
///
/// # Errors
/// See [`RatingError`].
pub fn forecast(
    books: &PriceBooks,
    account: &Account,
    period: Period,
    now: OffsetDateTime,
) -> Result<Rated, RatingError> {
    let mut pieces = gather::pieces(&account.usage, period.start(), now.min(period.end()))?;
    let hour = Duration::nanoseconds(
        i64::try_from(now.unix_timestamp_nanos().rem_euclid(3_600_000_000_000)).unwrap_or(0),
    );
    let recent = gather::pieces(&account.usage, now - hour - WINDOW, now)?;
    let mut first: BTreeMap<DatabaseId, OffsetDateTime> = BTreeMap::new();
    let mut sums: BTreeMap<(DatabaseId, Meter), u128> = BTreeMap::new();
    for piece in &recent {
        let first = first.entry(piece.database).or_insert(piece.from);
        *first = piece.from.min(*first);
        let sum = sums.entry((piece.database, piece.meter)).or_default();
        *sum = sum
            .checked_add(piece.quantity)
            .ok_or(RatingError::OutOfRange)?;
    }
    let from = now.max(period.start());
    for ((database, meter), sum) in sums {
        let since = first.get(&database).copied().unwrap_or(now);
        let observed = us_between(since.min(now - OBSERVED_MIN), now);
        let rest = us_between(from, period.end());
        let quantity = mul_div_half_up(sum, rest, observed).ok_or(RatingError::OutOfRange)?;
        if quantity > 0 {
            pieces.push(Piece {
                database,
                meter,
                from,
                to: period.end(),
                quantity,
            });
        }
    }
    rate_pieces(books, account, period, &pieces)
}
