//! What people put into their own tables: costs as FOCUS has them, usage as it was counted. CSV.
//!
//! Invariants:
//! - The rows of an invoice add up to its total, to the cent.
//! - Quantities are exact decimals; nothing is shortened for the eye.
//! - No cell is a formula, whatever somebody called a database ([`Csv`]).

mod csv;
mod focus;
mod usage;

pub use csv::Csv;
pub use focus::{COLUMNS as FOCUS_COLUMNS, FocusContext, ResourceText, focus_header, focus_rows};
pub use usage::{USAGE_COLUMNS, UsageRow, usage_header, usage_row};

use lumadb_contract::meter::Meter;

/// Decimals of a quantity in sold units.
const PLACES: usize = 9;
const SCALE: u128 = 1_000_000_000;

/// A count in units of which one has `unit`, as a decimal: rounded half up, no zeros at its end.
fn decimal(count: i128, unit: u128) -> Option<String> {
    let size = crate::exact::mul_div_half_up(count.unsigned_abs(), SCALE, unit)?;
    let sign = if count < 0 && size > 0 { "-" } else { "" };
    let fraction = format!("{:0PLACES$}", size % SCALE);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{}{point}{fraction}", size / SCALE))
}

/// A meter's sold unit, as FOCUS writes units.
const fn unit(meter: Meter) -> &'static str {
    match meter {
        Meter::Storage => "GB-Months",
        Meter::Compute => "vCPU-Hours",
        Meter::Requests => "1000000 Requests",
        Meter::TransferOut => "GB",
        Meter::VectorOperations => "1000000 Operations",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_to_the_ninth_place() {
        assert_eq!(decimal(1, 3).as_deref(), Some("0.333333333"));
        assert_eq!(decimal(-3, 2).as_deref(), Some("-1.5"));
        assert_eq!(decimal(0, 7).as_deref(), Some("0"));
        assert_eq!(decimal(-1, 10_000_000_000).as_deref(), Some("0"));
        assert_eq!(decimal(i128::MAX, 1), None);
    }
}
