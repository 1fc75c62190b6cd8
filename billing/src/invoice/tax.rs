//! Tax: one rule for each customer.

use crate::exact::Ppm;
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};

/// How a customer is taxed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tax {
    /// Not at all.
    None,
    /// By a rate on the net amount.
    Rate {
        /// As the invoice calls it: `VAT`, `Sales tax`.
        name: String,
        /// Parts per million.
        rate: Ppm,
    },
    /// The customer owes the tax, and the invoice says so.
    ReverseCharge,
}

impl Tax {
    /// Tax on a net amount, rounded half up. `None`: out of range.
    pub fn on(&self, net: Cents) -> Option<Cents> {
        match self {
            Self::None | Self::ReverseCharge => Some(Cents::ZERO),
            Self::Rate { rate, .. } => rate.of(net),
        }
    }
}
