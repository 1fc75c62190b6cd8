//! How far an organization is from its spend cap.

use super::gather::{self, Piece};
use super::input::Account;
use super::line::LineKind;
use super::{RatingError, rate_pieces};
use crate::period::{Period, us_between};
use crate::price_book::PriceBooks;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// What a cap has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapStanding {
    pub cap: Cents,
    /// Fees, usage so far, and the storage that is held now, until the period's end.
    pub committed: Cents,
    /// What may still be used of everything else; nothing once more is committed than the cap.
    pub left: Cents,
    /// Nothing is left, and what was used is not covered by the fees alone: they are due whatever
    /// the cap says, and what they pay for may be used.
    pub is_used: bool,
}

/// Sets aside from the cap what is due in any case: the period's fees, and the storage of today to
/// the period's end, because nothing is deleted when a cap is reached. `stored` are the bytes of
/// each database now; the account's usage is known until `now`. `None`: there is no cap.
///
/// # Errors
/// See [`RatingError`].
pub fn cap_standing(
    books: &PriceBooks,
    account: &Account,
    stored: &[(DatabaseId, u64)],
    period: Period,
    now: OffsetDateTime,
) -> Result<Option<CapStanding>, RatingError> {
    let Some(cap) = account.spend_cap else {
        return Ok(None);
    };
    let (from, to) = (now.max(period.start()), period.end());
    let mut pieces = gather::pieces(&account.usage, period.start(), from.min(to))?;
    for (database, bytes) in stored {
        let quantity = u128::from(*bytes) * us_between(from, to);
        if quantity > 0 {
            pieces.push(Piece {
                database: *database,
                meter: Meter::Storage,
                from,
                to,
                quantity,
            });
        }
    }
    let uncapped = Account {
        terms: account.terms.clone(),
        ..Account::default()
    };
    let rated = rate_pieces(books, &uncapped, period, &pieces)?;
    // A minimum is not usage: the cap is not spent by what was not used.
    let usage = rated.lines.iter();
    let usage = usage.filter(|line| line.kind != LineKind::Minimum);
    let read = || {
        let usage = Cents::checked_sum(usage.map(|line| line.amount))?;
        let committed = rated.fees.checked_add(usage)?;
        let left = cap.checked_sub(committed)?.max(Cents::ZERO);
        Some(CapStanding {
            cap,
            committed,
            left,
            is_used: left.is_zero() && usage > Cents::ZERO,
        })
    };
    read().map(Some).ok_or(RatingError::OutOfRange)
}
