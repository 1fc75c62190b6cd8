//! How often is too often, and how much too much.

use lumadb_control_plane::app::Limits;
use lumadb_control_plane::app::limits::Quotas;
use serde::{Deserialize, Serialize};

/// How often is too often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    pub(crate) requests_per_minute: u32,
    pub(crate) log_in_failures_per_account: u32,
    pub(crate) log_in_failures_per_address: u32,
    pub(crate) sign_ups_per_address: u32,
    pub(crate) mails_per_account: u32,
    pub(crate) resets_per_address: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            requests_per_minute: limits.requests_per_minute,
            log_in_failures_per_account: limits.log_in_failures_per_account,
            log_in_failures_per_address: limits.log_in_failures_per_address,
            sign_ups_per_address: limits.sign_ups_per_address,
            mails_per_account: limits.mails_per_account,
            resets_per_address: limits.resets_per_address,
        }
    }
}

impl LimitsConfig {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            requests_per_minute: self.requests_per_minute,
            log_in_failures_per_account: self.log_in_failures_per_account,
            log_in_failures_per_address: self.log_in_failures_per_address,
            sign_ups_per_address: self.sign_ups_per_address,
            mails_per_account: self.mails_per_account,
            resets_per_address: self.resets_per_address,
        }
    }
}

/// Limits of plans that have some (Free), instead of the price book's. Together for the databases of
/// an organization.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QuotasConfig {
    pub(crate) storage_bytes: Option<u64>,
    pub(crate) requests_per_day: Option<u64>,
    pub(crate) transfer_out_bytes_per_month: Option<u64>,
    pub(crate) vector_operations_per_month: Option<u64>,
}

impl QuotasConfig {
    pub(crate) const fn quotas(self) -> Quotas {
        Quotas {
            storage_bytes: self.storage_bytes,
            requests: self.requests_per_day,
            transfer_out: self.transfer_out_bytes_per_month,
            vector_operations: self.vector_operations_per_month,
        }
    }
}
