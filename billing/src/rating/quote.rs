//! What a month costs before it is asked for, and what a change makes of it.

use super::gather::Piece;
use super::input::{Account, Agreement, Terms};
use super::{Rated, RatingError, rate_pieces};
use crate::period::{Period, us_between};
use crate::price_book::{PlanId, PriceBooks};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;

/// What a database uses in a month through which it stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub database: DatabaseId,
    /// Of all its instances together, awake all month.
    pub milli_vcpu: u32,
    pub storage_bytes: u64,
    /// A month.
    pub requests: u64,
    /// A month.
    pub transfer_out_bytes: u64,
    /// A month.
    pub vector_operations: u64,
}

/// Under which plan, with which databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote<'a> {
    pub plan: &'a PlanId,
    pub agreement: &'a Agreement,
    pub databases: &'a [Standing],
}

/// What a whole month costs before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub before: Rated,
    pub after: Rated,
    /// More a month; below zero if it becomes cheaper.
    pub monthly: Cents,
}

/// The cost of a whole month, fees and usage: everything awake, from its first second to its last.
///
/// # Errors
/// See [`RatingError`].
pub fn quote(books: &PriceBooks, asked: &Quote<'_>, month: Period) -> Result<Rated, RatingError> {
    let account = Account {
        terms: vec![Terms {
            from: month.start(),
            plan: asked.plan.clone(),
            agreement: asked.agreement.clone(),
        }],
        ..Account::default()
    };
    let month_us = us_between(month.start(), month.end());
    let mut pieces = Vec::new();
    for standing in asked.databases {
        for (meter, quantity) in [
            (
                Meter::Storage,
                u128::from(standing.storage_bytes) * month_us,
            ),
            (Meter::Compute, u128::from(standing.milli_vcpu) * month_us),
            (Meter::Requests, standing.requests.into()),
            (Meter::TransferOut, standing.transfer_out_bytes.into()),
            (Meter::VectorOperations, standing.vector_operations.into()),
        ] {
            if quantity > 0 {
                pieces.push(Piece {
                    database: standing.database,
                    meter,
                    from: month.start(),
                    to: month.end(),
                    quantity,
                });
            }
        }
    }
    rate_pieces(books, &account, month, &pieces)
}

/// What a change costs a month.
///
/// # Errors
/// See [`RatingError`].
pub fn difference(
    books: &PriceBooks,
    before: &Quote<'_>,
    after: &Quote<'_>,
    month: Period,
) -> Result<Difference, RatingError> {
    let before = quote(books, before, month)?;
    let after = quote(books, after, month)?;
    let monthly = after
        .cost()?
        .checked_sub(before.cost()?)
        .ok_or(RatingError::OutOfRange)?;
    Ok(Difference {
        before,
        after,
        monthly,
    })
}
