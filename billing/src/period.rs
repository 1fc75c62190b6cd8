//! The billing period: a calendar month in UTC, for everybody, whatever their time zone.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use time::{Date, Month, OffsetDateTime, UtcOffset};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month of the form 2026-11")]
pub struct InvalidPeriod(String);

/// A calendar month in UTC, from its first moment to the first of the next one, not included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    first: Date,
    next: Date,
}

impl Period {
    fn of_month(year: i32, month: Month) -> Option<Self> {
        let next_year = if month == Month::December {
            year + 1
        } else {
            year
        };
        Some(Self {
            first: Date::from_calendar_date(year, month, 1).ok()?,
            next: Date::from_calendar_date(next_year, month.next(), 1).ok()?,
        })
    }

    /// The period that a moment lies in.
    ///
    /// # Errors
    /// The month is the last one that a date can say, so that it has no end.
    pub fn of(at: OffsetDateTime) -> Result<Self, InvalidPeriod> {
        let date = at.to_offset(UtcOffset::UTC).date();
        Self::of_month(date.year(), date.month()).ok_or_else(|| InvalidPeriod(date.to_string()))
    }

    pub const fn start(self) -> OffsetDateTime {
        self.first.midnight().assume_utc()
    }

    /// The first moment of the next period.
    pub const fn end(self) -> OffsetDateTime {
        self.next.midnight().assume_utc()
    }

    /// The period after this one.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn following(self) -> Result<Self, InvalidPeriod> {
        Self::of(self.end())
    }

    /// Seconds of this month: the denominator of everything that is prorated in it.
    pub fn seconds(self) -> u32 {
        u32::try_from((self.end() - self.start()).whole_seconds()).unwrap_or(u32::MAX)
    }

    /// Whether a moment lies in this month.
    pub fn contains(self, at: OffsetDateTime) -> bool {
        self.start() <= at && at < self.end()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = u8::from(self.first.month());
        write!(out, "{:04}-{month:02}", self.first.year())
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let read = || {
            let (year, month) = text.split_once('-')?;
            let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            if year.len() != 4 || month.len() != 2 || !plain(year) || !plain(month) {
                return None;
            }
            let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
            Self::of_month(year.parse().ok()?, month)
        };
        read().ok_or_else(|| InvalidPeriod(text.chars().take(64).collect()))
    }
}

impl Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Microseconds from one moment to a later one; none if it is not later.
pub(crate) fn us_between(from: OffsetDateTime, to: OffsetDateTime) -> u128 {
    u128::try_from((to - from).whole_microseconds()).unwrap_or(0)
}

/// Seconds from one moment to a later one; none if it is not later.
pub(crate) fn seconds_between(from: OffsetDateTime, to: OffsetDateTime) -> u128 {
    u128::try_from((to - from).whole_seconds()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn months_have_the_seconds_that_they_have() {
        for (month, days) in [
            ("2026-11", 30),
            ("2026-12", 31),
            ("2027-02", 28),
            ("2028-02", 29),
        ] {
            let period: Period = month.parse().expect(month);
            assert_eq!(period.seconds(), days * 86_400, "{month}");
            assert_eq!(period.to_string(), month);
        }
    }

    #[test]
    fn a_moment_lies_in_its_month_of_utc() {
        let december: Period = "2026-12".parse().expect("month");
        let at = datetime!(2027-01-01 00:30 +1);
        assert_eq!(Period::of(at), Ok(december));
        assert!(december.contains(at));
        assert!(!december.contains(december.end()));
        assert_eq!(
            december.following().map(|next| next.to_string()),
            Ok("2027-01".into())
        );
        assert!("9999-12".parse::<Period>().is_err());
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for bad in [
            "2026-13", "2026-00", "2026-1", "26-11", "2026/11", "", "+026-11",
        ] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }
}
