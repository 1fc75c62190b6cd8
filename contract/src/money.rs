//! Exact money: integers, never floats.
//!
//! Prices are [`Money`], counted in hundred-millionths of a dollar, because a unit of use costs far
//! less than a cent. What is invoiced, paid and booked is [`Cents`]: whole cents, the minor unit of
//! the one currency in which LumaDB sells. Nothing here rounds; the crate `billing` says once how.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Units of [`Money`] in one cent.
pub const MONEY_PER_CENT: i128 = 1_000_000;
/// Decimal places of [`Money`].
const MONEY_PLACES: usize = 8;
/// Decimal places of a dollar that [`Cents`] writes, and the fewest that [`Money`] writes.
const CENT_PLACES: usize = 2;

/// Currency of prices and invoices, as ISO 4217 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Currency {
    #[serde(rename = "USD")]
    Usd,
}

impl Currency {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an amount: digits, and after a point at most {places} more")]
pub struct InvalidAmount {
    given: String,
    places: usize,
}

/// A price in hundred-millionths of a dollar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

impl Money {
    pub const ZERO: Self = Self(0);

    /// From hundred-millionths of a dollar.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// In hundred-millionths of a dollar.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The same amount, if it is one of whole cents.
    pub fn whole_cents(self) -> Option<Cents> {
        let cents = i64::try_from(self.0 / MONEY_PER_CENT).ok()?;
        (self.0 % MONEY_PER_CENT == 0).then_some(Cents(cents))
    }
}

impl From<Cents> for Money {
    fn from(cents: Cents) -> Self {
        Self(i128::from(cents.0) * MONEY_PER_CENT)
    }
}

/// An amount in whole cents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
pub struct Cents(i64);

impl Cents {
    pub const ZERO: Self = Self(0);

    pub const fn new(cents: i64) -> Self {
        Self(cents)
    }

    pub const fn get(self) -> i64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    pub fn checked_add(self, more: Self) -> Option<Self> {
        self.0.checked_add(more.0).map(Self)
    }

    pub fn checked_sub(self, less: Self) -> Option<Self> {
        self.0.checked_sub(less.0).map(Self)
    }

    pub fn checked_neg(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }

    /// The sum, unless it is out of range.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

/// Writes `units` with `places` decimals, of which zeros at the end are left out beyond the second.
fn write_decimal(out: &mut fmt::Formatter<'_>, units: i128, places: usize) -> fmt::Result {
    let scale = 10_u128.pow(u32::try_from(places).unwrap_or_default());
    let size = units.unsigned_abs();
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0places$}", size % scale);
    let kept = digits.trim_end_matches('0').len().max(CENT_PLACES);
    write!(out, "{sign}{}.{}", size / scale, &digits[..kept])
}

/// Reads what [`write_decimal`] writes; the point and what follows it may be missing.
fn read_decimal(text: &str, places: usize) -> Result<i128, InvalidAmount> {
    let read = || {
        let (sign, size) = match text.strip_prefix('-') {
            Some(size) => (-1, size),
            None => (1, text),
        };
        let (whole, fraction) = size.split_once('.').unwrap_or((size, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(fraction) || fraction.len() > places {
            return None;
        }
        format!("{whole}{fraction:0<places$}")
            .parse::<i128>()
            .ok()
            .map(|units| sign * units)
    };
    read().ok_or_else(|| InvalidAmount {
        given: text.chars().take(64).collect(),
        places,
    })
}

impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(out, self.0, MONEY_PLACES)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Money {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        read_decimal(text, MONEY_PLACES).map(Self)
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(out, self.0.into(), CENT_PLACES)
    }
}

impl fmt::Debug for Cents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Cents {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let cents = read_decimal(text, CENT_PLACES)?;
        i64::try_from(cents).map(Self).map_err(|_| InvalidAmount {
            given: text.chars().take(64).collect(),
            places: CENT_PLACES,
        })
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Cents {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::Integer)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::Int64,
            )))
            .description(Some("Whole cents."))
            .examples([2900])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Cents {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_back_what_they_wrote() {
        for (text, units, written) in [
            ("0.10", 10_000_000, "0.10"),
            ("29", 2_900_000_000, "29.00"),
            ("0.00000001", 1, "0.00000001"),
            ("-1.5", -150_000_000, "-1.50"),
            ("0.123", 12_300_000, "0.123"),
        ] {
            let money = text.parse::<Money>().expect(text);
            assert_eq!(money, Money::from_units(units), "{text}");
            assert_eq!(money.to_string(), written);
        }
        assert_eq!("-0.05".parse(), Ok(Cents::new(-5)));
        assert_eq!(Cents::new(-5).to_string(), "-0.05");
        assert_eq!(Cents::new(i64::MIN).to_string(), "-92233720368547758.08");
        assert_eq!(
            Cents::new(i64::MIN).to_string().parse(),
            Ok(Cents::new(i64::MIN))
        );
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for bad in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "+1",
            "1e3",
            "1,5",
            " 1",
            "0.123456789",
            "--1",
            "٣",
        ] {
            assert!(bad.parse::<Money>().is_err(), "{bad}");
        }
        assert!("0.001".parse::<Cents>().is_err());
        assert!("92233720368547758.08".parse::<Cents>().is_err());
        assert!("9".repeat(60).parse::<Money>().is_err());
    }

    #[test]
    fn only_whole_cents_become_cents() {
        assert_eq!(
            "1.23".parse::<Money>().map(Money::whole_cents),
            Ok(Some(Cents::new(123)))
        );
        assert_eq!("0.001".parse::<Money>().map(Money::whole_cents), Ok(None));
        assert_eq!(
            Money::from(Cents::new(-7)),
            Money::from_units(-7 * MONEY_PER_CENT)
        );
    }

    #[test]
    fn sums_do_not_wrap() {
        let most = Cents::new(i64::MAX);
        assert_eq!(most.checked_add(Cents::new(1)), None);
        assert_eq!(Cents::checked_sum([most, Cents::new(1)]), None);
        assert_eq!(
            Cents::checked_sum([Cents::new(2), Cents::new(-3)]),
            Some(Cents::new(-1))
        );
    }
}
