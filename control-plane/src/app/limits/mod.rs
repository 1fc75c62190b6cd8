//! The limits of plans in force: room that nodes are given, and what organizations are told.
//!
//! - [`grant`]: how much of what is left a node gets; pure.
//! - [`answer`]: one question of a node, answered in one transaction.
//! - [`notice`]: mails and notices at 80 % and 100 %, once each in a period.
//! - [`cap`]: spend caps and budgets, looked at again and again; [`degrade`], which is pure, says
//!   what becomes of the databases, [`order`] is the owner's word on which of them goes first.
//!
//! Invariants:
//! - What is folded of the organization's usage, what its nodes counted beyond that and what they
//!   may still count come to the limit at the most.
//! - A limit is data of the price book, or of the operator's configuration instead.

mod answer;
mod cap;
mod degrade;
mod grant;
mod notice;
mod order;

pub use answer::answer;
pub use cap::{caps_look, caps_run};
pub use degrade::CapStage;
pub use notice::{LimitNotice, LimitNoticeList, notice_list};
pub use order::{SpendCapDatabase, SpendCapOrder, SpendCapStages, cap_order_get, cap_order_set};

use crate::app::{AppError, Platform};
use lumadb_billing::period::Period;
use lumadb_billing::price_book::PlanId;
use lumadb_contract::meter::Meter;
use time::OffsetDateTime;

/// Limits of the operator's, instead of those that the price book says for plans with limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    pub storage_bytes: Option<u64>,
    /// A day (UTC).
    pub requests: Option<u64>,
    /// A month (UTC), bytes.
    pub transfer_out: Option<u64>,
    /// A month (UTC).
    pub vector_operations: Option<u64>,
}

impl Quotas {
    const fn get(self, meter: Meter) -> Option<u64> {
        match meter {
            Meter::Storage => self.storage_bytes,
            Meter::Requests => self.requests,
            Meter::TransferOut => self.transfer_out,
            Meter::VectorOperations => self.vector_operations,
            Meter::Compute => None,
        }
    }
}

/// What a plan limits a meter to; `None`: it does not.
fn limit(
    platform: &Platform,
    plan_id: &str,
    meter: Meter,
    now: OffsetDateTime,
) -> Result<Option<u64>, AppError> {
    let period = Period::of(now).map_err(AppError::internal)?;
    let book = platform.books.at(period).map_err(AppError::internal)?;
    let plan: PlanId = plan_id.parse().map_err(AppError::internal)?;
    let plan = book.plan(&plan).map_err(AppError::internal)?;
    let said = plan.limits.get(meter).map(|limit| limit.amount);
    Ok(said.map(|said| platform.settings.quotas.get(meter).unwrap_or(said)))
}
