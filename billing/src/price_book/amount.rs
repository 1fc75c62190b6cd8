//! Amounts of usage that a plan includes or ends at.

use crate::exact::mul_div_up;
use crate::period::{Period, seconds_between, us_between};
use lumadb_contract::meter::{BYTES_PER_GB, MILLI_PER_VCPU, Meter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Seconds of a day in UTC.
const DAY_SECONDS: u128 = 86_400;

/// Over which time an amount may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Held all the time: bytes, or milli-vCPU.
    Moment,
    /// Anew on each day (UTC).
    Day,
    /// Anew in each period.
    Period,
}

/// How much, in the meter's smallest unit, and over which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncludedAmount {
    /// Bytes for storage and transfer, milli-vCPU for compute, else a count.
    pub amount: u64,
    pub per: Per,
}

impl IncludedAmount {
    /// How many counted units ([`Meter::counted_in`]) a part of a period has: prorated by the
    /// second, and rounded up, in the customer's favor. `None`: out of range.
    pub(crate) fn within(
        self,
        from: OffsetDateTime,
        to: OffsetDateTime,
        period: Period,
    ) -> Option<u128> {
        let amount = u128::from(self.amount);
        match self.per {
            Per::Moment => amount.checked_mul(us_between(from, to)),
            Per::Day => mul_div_up(amount, seconds_between(from, to), DAY_SECONDS),
            Per::Period => mul_div_up(amount, seconds_between(from, to), period.seconds().into()),
        }
    }
}

/// Amounts by meter, as the file writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct Amounts(BTreeMap<Meter, IncludedAmount>);

impl Amounts {
    pub fn get(&self, meter: Meter) -> Option<IncludedAmount> {
        self.0.get(&meter).copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// In the units in which people speak of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    storage_gb: Option<u32>,
    compute_vcpu: Option<u32>,
    requests_per_day: Option<u64>,
    /// A period.
    transfer_out_gb: Option<u32>,
    /// A period.
    vector_operations: Option<u64>,
}

impl From<Written> for Amounts {
    fn from(written: Written) -> Self {
        let scaled = |count: Option<u32>, scale: u128| {
            count.map(|count| u64::from(count).saturating_mul(scale.try_into().unwrap_or(u64::MAX)))
        };
        let amounts = [
            (
                Meter::Storage,
                scaled(written.storage_gb, BYTES_PER_GB),
                Per::Moment,
            ),
            (
                Meter::Compute,
                scaled(written.compute_vcpu, MILLI_PER_VCPU),
                Per::Moment,
            ),
            (Meter::Requests, written.requests_per_day, Per::Day),
            (
                Meter::TransferOut,
                scaled(written.transfer_out_gb, BYTES_PER_GB),
                Per::Period,
            ),
            (
                Meter::VectorOperations,
                written.vector_operations,
                Per::Period,
            ),
        ];
        let named = amounts.into_iter().filter_map(|(meter, amount, per)| {
            amount.map(|amount| (meter, IncludedAmount { amount, per }))
        });
        Self(named.collect())
    }
}
