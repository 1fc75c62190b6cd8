//! From usage to lines.
//!
//! How a period is rated, in this order:
//!
//! 1. The account's plans cut the period into **stretches**, each under one plan and one agreement
//!    ([`terms`]). A change counts from the second in which it was made.
//! 2. Usage falls into the stretches in which it happened ([`gather`]). An hour that a change cuts is
//!    shared out by the time on each side.
//! 3. In each stretch and meter the usage of all databases is pooled, what is included is taken off
//!    (prorated by the second), and the rest has its price: one line, one division, one rounding
//!    ([`usage`]). The line's quantity and its cents are shared out to databases so that they add up.
//! 4. What a fee covers, a discount, the spend cap and a minimum are lines of their own ([`adjust`]).
//!
//! The running invoice is the same function over the usage so far. Fees are charged in advance and
//! are not part of it ([`fee`]).
//!
//! What may be relied on: the order of hours and spans does not matter, nor does one that comes
//! twice; cutting a span in two changes nothing; more usage never costs less.

mod adjust;
mod correction;
mod fee;
mod forecast;
mod gather;
mod input;
mod line;
mod quote;
mod spend_cap;
mod terms;
mod usage;

pub use correction::corrections;
pub use fee::{fees_at_change, fees_in_advance};
pub use forecast::forecast;
pub use input::{Account, Agreement, ComputeSpan, Terms, Usage, UsageHour};
pub use line::{DayOver, Line, LineKind, Quantity, Share, UsageDetail};
pub use quote::{Difference, Quote, Standing, difference, quote};
pub use spend_cap::{CapStanding, cap_standing};

use crate::period::{InvalidPeriod, Period};
use crate::price_book::{BookVersion, NotInBook, PlanId, PriceBooks};
use gather::Piece;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

/// Why usage has no price. Each one is a mistake in what was given, not in what a customer did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    #[error(transparent)]
    Book(#[from] NotInBook),
    #[error(transparent)]
    Period(#[from] InvalidPeriod),
    #[error("there is usage at {at}, when the organization had no plan")]
    NoPlan { at: OffsetDateTime },
    #[error("plan `{0}` has no fee of its own, and no agreement says one")]
    NoFee(PlanId),
    #[error("an amount of the agreement from {from} on is less than nothing")]
    NegativeAgreement { from: OffsetDateTime },
    #[error("the plan from {from} on stands behind a later one")]
    TermsUnordered { from: OffsetDateTime },
    #[error("usage of {database} at {starts_at} does not start on the hour")]
    NotAnHour {
        database: DatabaseId,
        starts_at: OffsetDateTime,
    },
    #[error("{database} has two different records of the hour from {starts_at}")]
    HoursDiffer {
        database: DatabaseId,
        starts_at: OffsetDateTime,
    },
    #[error("a span of {incarnation} ends before its start at {started_at}")]
    SpanReversed {
        incarnation: IncarnationId,
        started_at: OffsetDateTime,
    },
    #[error("spans of {incarnation} overlap at {started_at}")]
    SpansOverlap {
        incarnation: IncarnationId,
        started_at: OffsetDateTime,
    },
    #[error("an amount is out of range")]
    OutOfRange,
}

/// What the usage of a period comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated {
    pub period: Period,
    pub book: BookVersion,
    /// What the fees of this period come to; charged in advance, not in the lines.
    pub fees: Cents,
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub usage: Cents,
}

impl Rated {
    /// Fees and usage together: what the period costs, before credits and tax.
    pub fn cost(&self) -> Result<Cents, RatingError> {
        self.fees
            .checked_add(self.usage)
            .ok_or(RatingError::OutOfRange)
    }
}

/// Rates what an account used in a period, so far or altogether. Usage outside of it is left aside.
///
/// # Errors
/// See [`RatingError`].
pub fn rate(books: &PriceBooks, account: &Account, period: Period) -> Result<Rated, RatingError> {
    let pieces = gather::pieces(&account.usage, period.start(), period.end())?;
    rate_pieces(books, account, period, &pieces)
}

/// Rates pieces of usage under the account's plans and its spend cap.
fn rate_pieces(
    books: &PriceBooks,
    account: &Account,
    period: Period,
    pieces: &[Piece],
) -> Result<Rated, RatingError> {
    let book = books.at(period)?;
    let stretches = terms::stretches(book, &account.terms, period)?;
    let pools = gather::pool(pieces, &stretches)?;
    let mut lines = Vec::new();
    for (stretch, pools) in stretches.iter().zip(&pools) {
        let mut own = usage::usage_lines(stretch, pools)?;
        adjust::of_stretch(stretch, &mut own)?;
        lines.append(&mut own);
    }
    let mut fees = Cents::ZERO;
    for stretch in &stretches {
        let fee = stretch.prorated(stretch.fee)?;
        fees = fees.checked_add(fee).ok_or(RatingError::OutOfRange)?;
    }
    adjust::of_period(&stretches, account.spend_cap, fees, &mut lines)?;
    let usage = line::total(&lines)?;
    Ok(Rated {
        period,
        book: book.version.clone(),
        fees,
        lines,
        usage,
    })
}
