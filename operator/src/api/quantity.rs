//! Amounts as Kubernetes writes them, read into numbers.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

const KIB: u64 = 1 << 10;

/// Units that an amount of bytes may have, from the largest on.
const UNITS: [(&str, u64); 3] = [
    ("Ti", KIB * KIB * KIB * KIB),
    ("Gi", KIB * KIB * KIB),
    ("Mi", KIB * KIB),
];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an amount such as {example}")]
pub struct InvalidQuantity {
    given: String,
    example: &'static str,
}

/// A number of bytes: whole Mi, Gi or Ti.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn mebibytes(count: u32) -> Self {
        Self(count as u64 * KIB * KIB)
    }

    pub const fn gibibytes(count: u32) -> Self {
        Self(count as u64 * KIB * KIB * KIB)
    }

    /// At least `bytes`, in whole gibibytes.
    pub const fn gibibytes_over(bytes: u64) -> Self {
        let unit = KIB * KIB * KIB;
        Self(bytes.div_ceil(unit) * unit)
    }

    /// Half of it, in whole mebibytes, and at least one.
    pub const fn half(self) -> Self {
        let unit = KIB * KIB;
        let units = self.0 / 2 / unit;
        Self(if units == 0 { unit } else { units * unit })
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, size)| self.0.is_multiple_of(*size));
        match unit {
            Some((name, size)) => write!(out, "{}{name}", self.0 / size),
            None => write!(out, "{}", self.0),
        }
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for ByteSize {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        UNITS
            .iter()
            .find_map(|(name, size)| Some((text.strip_suffix(name)?, size)))
            .and_then(|(digits, size)| whole(digits)?.checked_mul(*size))
            .map(Self)
            .ok_or_else(|| InvalidQuantity {
                given: text.chars().take(64).collect(),
                example: "10Gi",
            })
    }
}

impl TryFrom<String> for ByteSize {
    type Error = InvalidQuantity;

    fn try_from(text: String) -> Result<Self, InvalidQuantity> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[1-9][0-9]*(Mi|Gi|Ti)$",
            "maxLength": 12,
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Processor time: thousandths of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuAmount(u32);

impl CpuAmount {
    pub const fn milli(count: u32) -> Self {
        Self(count)
    }

    /// Thousandths of a CPU.
    pub const fn as_milli(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CpuAmount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(out, "{}", self.0 / 1000)
        } else {
            write!(out, "{}m", self.0)
        }
    }
}

impl fmt::Debug for CpuAmount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for CpuAmount {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let milli = match text.strip_suffix('m') {
            Some(digits) => whole(digits),
            None => whole(text).and_then(|count| count.checked_mul(1000)),
        };
        milli
            .and_then(|milli| u32::try_from(milli).ok())
            .map(Self)
            .ok_or_else(|| InvalidQuantity {
                given: text.chars().take(64).collect(),
                example: "500m or 2",
            })
    }
}

impl TryFrom<String> for CpuAmount {
    type Error = InvalidQuantity;

    fn try_from(text: String) -> Result<Self, InvalidQuantity> {
        text.parse()
    }
}

impl From<CpuAmount> for String {
    fn from(amount: CpuAmount) -> Self {
        amount.to_string()
    }
}

impl JsonSchema for CpuAmount {
    fn schema_name() -> Cow<'static, str> {
        "CpuAmount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[1-9][0-9]*m?$",
            "maxLength": 9,
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// A number above 0, of digits alone.
fn whole(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_back_in_their_largest_unit() {
        for (given, written) in [("1024Mi", "1Gi"), ("1500Mi", "1500Mi"), ("2Ti", "2Ti")] {
            let size: ByteSize = given.parse().expect("an amount");
            assert_eq!(size.to_string(), written);
        }
        for (given, written) in [("1000m", "1"), ("250m", "250m"), ("16", "16")] {
            let amount: CpuAmount = given.parse().expect("an amount");
            assert_eq!(amount.to_string(), written);
        }
        assert_eq!(ByteSize::gibibytes_over(1), ByteSize::gibibytes(1));
        assert_eq!(ByteSize::gibibytes_over(1 << 31), ByteSize::gibibytes(2));
        assert_eq!(ByteSize::gibibytes(1).half(), ByteSize::mebibytes(512));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for given in ["", "0Gi", "1G", "1.5Gi", "-1Gi", "Gi", "99999999999999Ti"] {
            assert!(given.parse::<ByteSize>().is_err(), "{given}");
        }
        for given in ["", "0", "0.5", "m", "5000000", "-1"] {
            assert!(given.parse::<CpuAmount>().is_err(), "{given}");
        }
    }
}
