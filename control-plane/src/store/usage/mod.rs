//! Usage: samples, the hours folded from them, and spans of granted compute.

mod intake;
mod read;

pub use intake::*;
pub use read::*;

use super::StoreError;

fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is negative")))
}
