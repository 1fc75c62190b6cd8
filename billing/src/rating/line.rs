//! Lines: an amount, and everything by which it can be explained and traced back.

use super::RatingError;
use crate::period::Period;
use crate::price_book::{BookVersion, PlanId};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Cents, Money};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A number of counted units of a meter; below zero where a correction takes some back. Written as
/// a decimal string, because byte-microseconds do not fit into the numbers of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i128);

impl Quantity {
    pub const fn get(self) -> i128 {
        self.0
    }

    /// The difference, unless it is out of range.
    pub(super) fn less(self, other: Self) -> Result<Self, RatingError> {
        let difference = self.0.checked_sub(other.0);
        difference.map(Self).ok_or(RatingError::OutOfRange)
    }
}

impl TryFrom<u128> for Quantity {
    type Error = RatingError;

    fn try_from(count: u128) -> Result<Self, RatingError> {
        i128::try_from(count)
            .map(Self)
            .map_err(|_| RatingError::OutOfRange)
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, out)
    }
}

impl Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A plan's fee from a moment to the end of the period, in advance.
    Fee,
    /// Taken back: the part of a fee for the time after a change of the plan.
    FeeUnused,
    /// Usage beyond what is included.
    Usage(Meter),
    /// Taken off: usage that the plan's fee has paid for.
    Covered,
    /// Taken off: the agreement's discount on usage.
    Discount,
    /// Taken off: usage above the spend cap.
    AboveCap,
    /// Added, up to the agreement's minimum.
    Minimum,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub kind: LineKind,
    pub plan: PlanId,
    /// Version of the price book that it was rated with.
    pub book: BookVersion,
    /// The time that it is for; its hours are those that lie in it or are cut by it.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// The closed period that it corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Period>,
    pub amount: Cents,
    /// Only on lines for usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageDetail>,
}

/// How a line for usage comes to its amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageDetail {
    pub meter: Meter,
    /// In counted units ([`Meter::counted_in`]): `used` = `included` + `billed`.
    pub used: Quantity,
    /// Of it, what was included.
    pub included: Quantity,
    /// Of it, what has a price.
    pub billed: Quantity,
    /// For one sold unit ([`Meter::sold_in`]).
    pub unit_price: Money,
    /// Where amounts are included by the day: the days on which more was used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<DayOver>,
    /// By database; quantities and amounts add up to the line's.
    pub shares: Vec<Share>,
}

/// A day (UTC) on which more was used than was included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayOver {
    /// The day's start, or the line's where that is later.
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    pub used: Quantity,
    pub included: Quantity,
}

/// One database's part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub database: DatabaseId,
    pub used: Quantity,
    pub billed: Quantity,
    pub amount: Cents,
}

/// The sum of lines.
pub(crate) fn total(lines: &[Line]) -> Result<Cents, RatingError> {
    Cents::checked_sum(lines.iter().map(|line| line.amount)).ok_or(RatingError::OutOfRange)
}
