//! Exact arithmetic, and the one rounding rule: **half up**.
//!
//! A result is rounded to the nearest whole number, and exactly half a unit away from zero, so that
//! taking back an amount takes back exactly what was charged. Products are 256 bits wide on the way:
//! what overflows is the result alone, and that is `None`, never a wrong number.

use lumadb_contract::money::{Cents, MONEY_PER_CENT, Money};
use serde::{Deserialize, Serialize};

/// Parts in one whole.
const MILLION: u32 = 1_000_000;

/// A share of something in parts per million, at most the whole of it. 8.875 % are 88,750.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct Ppm(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} parts per million are more than the whole")]
pub struct InvalidPpm(u32);

impl Ppm {
    pub const ZERO: Self = Self(0);

    pub const fn get(self) -> u32 {
        self.0
    }

    /// This share of an amount, rounded half up.
    pub fn of(self, amount: Cents) -> Option<Cents> {
        let size = u128::from(amount.get().unsigned_abs());
        let share = mul_div_half_up(size, self.0.into(), MILLION.into())?;
        let share = i64::try_from(share).ok()?;
        Some(Cents::new(if amount.is_negative() {
            -share
        } else {
            share
        }))
    }
}

impl TryFrom<u32> for Ppm {
    type Error = InvalidPpm;

    fn try_from(ppm: u32) -> Result<Self, InvalidPpm> {
        (ppm <= MILLION).then_some(Self(ppm)).ok_or(InvalidPpm(ppm))
    }
}

impl From<Ppm> for u32 {
    fn from(ppm: Ppm) -> Self {
        ppm.0
    }
}

/// `a × b ÷ divisor`: the whole part and the rest.
fn mul_div(a: u128, b: u128, divisor: u128) -> Option<(u128, u128)> {
    if divisor == 0 {
        return None;
    }
    let (low, high) = a.carrying_mul(b, 0);
    if high == 0 {
        return Some((low / divisor, low % divisor));
    }
    if high >= divisor {
        return None;
    }
    // Long division, a bit at a time: `rest` stays below `divisor`, so that one bit can leave it.
    let (mut rest, mut whole) = (high, 0_u128);
    for bit in (0..u128::BITS).rev() {
        let carried = rest >> (u128::BITS - 1) == 1;
        rest = (rest << 1) | ((low >> bit) & 1);
        whole <<= 1;
        if carried || rest >= divisor {
            rest = rest.wrapping_sub(divisor);
            whole |= 1;
        }
    }
    Some((whole, rest))
}

/// `a × b ÷ divisor`, rounded down.
pub fn mul_div_down(a: u128, b: u128, divisor: u128) -> Option<u128> {
    mul_div(a, b, divisor).map(|(whole, _)| whole)
}

/// `a × b ÷ divisor`, rounded up.
pub fn mul_div_up(a: u128, b: u128, divisor: u128) -> Option<u128> {
    let (whole, rest) = mul_div(a, b, divisor)?;
    whole.checked_add(u128::from(rest > 0))
}

/// `a × b ÷ divisor`, rounded half up.
pub fn mul_div_half_up(a: u128, b: u128, divisor: u128) -> Option<u128> {
    let (whole, rest) = mul_div(a, b, divisor)?;
    whole.checked_add(u128::from(rest >= divisor - rest))
}

/// What `quantity` costs at a price for `sold_unit` of it, rounded half up to a cent.
pub fn cost(quantity: u128, unit_price: Money, sold_unit: u128) -> Option<Cents> {
    let price = u128::try_from(unit_price.units()).ok()?;
    let divisor = sold_unit.checked_mul(MONEY_PER_CENT.unsigned_abs())?;
    let cents = mul_div_half_up(quantity, price, divisor)?;
    i64::try_from(cents).ok().map(Cents::new)
}

/// Splits `total` in proportion to `weights`, so that the parts add up to it: whole parts first,
/// then one more to those with the largest remainder, the earlier one where two are equal.
///
/// `None`: a total is to be split, and every weight is zero, or the weights' sum overflows.
pub fn split(total: u128, weights: &[u128]) -> Option<Vec<u128>> {
    if total == 0 {
        return Some(vec![0; weights.len()]);
    }
    let sum = weights
        .iter()
        .try_fold(0_u128, |sum, weight| sum.checked_add(*weight))?;
    let divided: Vec<(u128, u128)> = weights
        .iter()
        .map(|weight| mul_div(total, *weight, sum))
        .collect::<Option<_>>()?;
    let mut parts: Vec<u128> = divided.iter().map(|(whole, _)| *whole).collect();
    let given: u128 = parts.iter().sum();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|a, b| divided[*b].1.cmp(&divided[*a].1));
    let left = usize::try_from(total - given).ok()?;
    for index in order.into_iter().take(left) {
        parts[index] += 1;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_goes_up_and_away_from_zero() {
        assert_eq!(mul_div_half_up(1, 1, 2), Some(1));
        assert_eq!(mul_div_half_up(49, 1, 100), Some(0));
        assert_eq!(mul_div_half_up(1, 1, 0), None);
        let half = Ppm::try_from(500_000).expect("half");
        assert_eq!(half.of(Cents::new(1)), Some(Cents::new(1)));
        assert_eq!(half.of(Cents::new(-1)), Some(Cents::new(-1)));
        assert!(Ppm::try_from(1_000_001).is_err());
    }

    #[test]
    fn wide_products_are_exact_and_results_out_of_range_are_none() {
        assert_eq!(
            mul_div_down(u128::MAX, u128::MAX, u128::MAX),
            Some(u128::MAX)
        );
        assert_eq!(mul_div(u128::MAX, 3, u128::MAX - 1), Some((3, 3)));
        assert_eq!(mul_div_down(u128::MAX, 2, 1), None);
        assert_eq!(mul_div_up(u128::MAX, 1, 2), Some(u128::MAX / 2 + 1));
        assert_eq!(mul_div_half_up(u128::MAX, 1, u128::MAX), Some(1));
    }

    #[test]
    fn a_hundred_petabyte_months_have_a_price() {
        let month = 31 * 86_400 * 1_000_000;
        let quantity = 100_000_000_000_000_000 * month;
        let price = "0.10".parse().expect("price");
        let sold = 1_000_000_000 * month;
        assert_eq!(cost(quantity, price, sold), Some(Cents::new(1_000_000_000)));
    }

    proptest! {
        #[test]
        fn a_quotient_times_its_divisor_is_the_product(
            a in any::<u64>(), b in any::<u64>(), divisor in 1..=u128::MAX
        ) {
            let product = u128::from(a) * u128::from(b);
            let (whole, rest) = mul_div(a.into(), b.into(), divisor).expect("in range");
            prop_assert_eq!(whole * divisor + rest, product);
        }

        #[test]
        fn long_division_undoes_multiplication(
            whole in any::<u128>(), divisor in 1..=u128::MAX, rest in any::<u128>()
        ) {
            // (whole × divisor + rest) ÷ divisor, as (a × b) with b = 1 is too narrow: compare
            // against multiplying back in two halves.
            let (low, high) = whole.carrying_mul(divisor, rest % divisor);
            if high == 0 {
                prop_assert_eq!(mul_div(low, 1, divisor), Some((whole, rest % divisor)));
            }
            prop_assert_eq!(mul_div(whole, divisor, divisor), Some((whole, 0)));
        }

        #[test]
        fn parts_add_up_and_each_is_within_one_of_its_share(
            total in 0..=u128::from(u64::MAX),
            weights in prop::collection::vec(0_u128..1_000_000_000_000, 1..20)
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = split(total, &weights).expect("split");
            prop_assert_eq!(parts.iter().sum::<u128>(), total);
            let sum: u128 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let down = mul_div_down(total, *weight, sum).expect("in range");
                prop_assert!(*part == down || *part == down + 1);
                prop_assert!(*weight > 0 || *part == 0);
            }
        }
    }
}
