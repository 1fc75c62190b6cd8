//! Numbers without gaps, as tax law asks for: each series counts from 1 in every year, a number is
//! given in the transaction that makes its document final, and a void one keeps it.

use std::fmt;
use std::str::FromStr;
use time::{OffsetDateTime, UtcOffset};

/// What is numbered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Series {
    Invoice,
    CreditNote,
}

impl Series {
    const ALL: [Self; 2] = [Self::Invoice, Self::CreditNote];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Invoice => "INV",
            Self::CreditNote => "CN",
        }
    }
}

/// Number of an invoice or a credit note: `INV-2026-000001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    pub series: Series,
    pub year: i32,
    /// 1, 2, 3 … within series and year.
    pub sequence: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a number of the form INV-2026-000001")]
pub struct InvalidNumber(String);

impl Number {
    /// The number after `last`, the last one of the series. A clock that stands before the last
    /// number's year opens no second count in the year before.
    pub fn following(series: Series, last: Option<Self>, at: OffsetDateTime) -> Self {
        let year = at.to_offset(UtcOffset::UTC).year();
        match last {
            Some(last) if last.year >= year => Self {
                series,
                year: last.year,
                sequence: last.sequence + 1,
            },
            _ => Self {
                series,
                year,
                sequence: 1,
            },
        }
    }
}

/// Whether these numbers of one series are all that were given: each year's from 1 on, each once.
pub fn is_gapless(numbers: &[Number]) -> bool {
    let mut ordered = numbers.to_vec();
    ordered.sort_unstable();
    let mut before: Option<Number> = None;
    for number in ordered {
        let expected = match before {
            Some(before) if before.series != number.series => return false,
            Some(before) if before.year == number.year => before.sequence + 1,
            _ => 1,
        };
        if number.sequence != expected {
            return false;
        }
        before = Some(number);
    }
    true
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.series.prefix();
        write!(out, "{prefix}-{:04}-{:06}", self.year, self.sequence)
    }
}

impl FromStr for Number {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        let read = || {
            let mut parts = text.split('-');
            let prefix = parts.next()?;
            let series = Series::ALL.into_iter().find(|s| s.prefix() == prefix)?;
            let number = Self {
                series,
                year: parts.next()?.parse().ok()?,
                sequence: parts.next()?.parse().ok()?,
            };
            // Whatever has another way to write it is none.
            (number.to_string() == text && number.sequence > 0).then_some(number)
        };
        read().ok_or_else(|| InvalidNumber(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn numbers_follow_without_a_gap_through_the_years() {
        let mut last = None;
        let mut given = Vec::new();
        for at in [
            datetime!(2026-12-31 23:00 UTC),
            datetime!(2027-01-01 0:30 +1),
            datetime!(2027-01-01 0:00 UTC),
            datetime!(2027-02-01 0:00 UTC),
            // A clock that went wrong.
            datetime!(2026-02-01 0:00 UTC),
        ] {
            let number = Number::following(Series::Invoice, last, at);
            given.push(number);
            last = Some(number);
        }
        let written: Vec<String> = given.iter().map(Number::to_string).collect();
        assert_eq!(
            written,
            [
                "INV-2026-000001",
                "INV-2026-000002",
                "INV-2027-000001",
                "INV-2027-000002",
                "INV-2027-000003",
            ]
        );
        assert!(is_gapless(&given));
        assert!(is_gapless(&[]));
        assert!(!is_gapless(&given[1..]));
        assert!(!is_gapless(&[given[0], given[0]]));
        assert!(!is_gapless(&[given[0], given[2], given[4]]));
    }

    #[test]
    fn a_number_reads_back_what_it_wrote() {
        for text in ["INV-2026-000001", "CN-2027-123456", "INV-2026-1234567"] {
            assert_eq!(
                text.parse::<Number>().map(|n| n.to_string()),
                Ok(text.into())
            );
        }
        for bad in [
            "INV-2026-1",
            "INV-2026-000000",
            "XX-2026-000001",
            "INV-26-000001",
            "INV",
            "",
        ] {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }
}
