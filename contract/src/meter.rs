//! What is metered and sold, and in which units.

use serde::{Deserialize, Serialize};

/// Milli-vCPU in one vCPU.
pub const MILLI_PER_VCPU: u128 = 1000;
/// Microseconds in one second; time is metered in microseconds.
pub const US_PER_SECOND: u128 = 1_000_000;
/// Bytes in one GB, as it is sold.
pub const BYTES_PER_GB: u128 = 1_000_000_000;
/// Things in one million of them.
const MILLION: u128 = 1_000_000;

/// Something that is counted and has a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Meter {
    /// Size on disk without WAL, over time.
    Storage,
    /// Granted vCPU, over the time awake.
    Compute,
    /// Commands that a client sent and that were answered.
    Requests,
    /// Bytes from node to client, before TLS.
    TransferOut,
    /// Vectors searched for or written.
    VectorOperations,
}

impl Meter {
    /// Every meter, in the order in which an invoice lists them.
    pub const ALL: [Self; 5] = [
        Self::Storage,
        Self::Compute,
        Self::Requests,
        Self::TransferOut,
        Self::VectorOperations,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Compute => "compute",
            Self::Requests => "requests",
            Self::TransferOut => "transfer_out",
            Self::VectorOperations => "vector_operations",
        }
    }

    /// What a quantity counts, in whole numbers.
    pub const fn counted_in(self) -> &'static str {
        match self {
            Self::Storage => "byte-microseconds",
            Self::Compute => "milli-vCPU-microseconds",
            Self::Requests => "requests",
            Self::TransferOut => "bytes",
            Self::VectorOperations => "vector operations",
        }
    }

    /// What its price is for.
    pub const fn sold_in(self) -> &'static str {
        match self {
            Self::Storage => "GB-month",
            Self::Compute => "vCPU-hour",
            Self::Requests | Self::VectorOperations => "million",
            Self::TransferOut => "GB",
        }
    }

    /// How many counted units one sold unit has, in a month of so many seconds.
    ///
    /// A GB-month is a GB through the whole month, however long that month is.
    pub const fn counted_per_sold(self, month_seconds: u32) -> u128 {
        match self {
            Self::Storage => BYTES_PER_GB * US_PER_SECOND * month_seconds as u128,
            Self::Compute => MILLI_PER_VCPU * US_PER_SECOND * 3600,
            Self::Requests | Self::VectorOperations => MILLION,
            Self::TransferOut => BYTES_PER_GB,
        }
    }
}

impl std::fmt::Display for Meter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_written_by_its_name() {
        for meter in Meter::ALL {
            let written = serde_json::to_value(meter).expect("JSON");
            assert_eq!(written, meter.name());
            assert_eq!(serde_json::from_value::<Meter>(written).ok(), Some(meter));
        }
    }

    #[test]
    fn a_gb_held_all_month_is_one_gb_month_in_every_month() {
        for days in [28, 29, 30, 31] {
            let seconds = days * 86_400;
            let held = BYTES_PER_GB * u128::from(seconds) * US_PER_SECOND;
            assert_eq!(held, Meter::Storage.counted_per_sold(seconds));
        }
    }
}
