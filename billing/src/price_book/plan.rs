//! One plan: its fee, what usage costs under it, and its limits.

use super::amount::Amounts;
use lumadb_contract::money::{Cents, Money};
use serde::{Deserialize, Serialize};

/// Longest identifier of a plan, bytes.
const PLAN_ID_BYTES_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a plan's identifier: `[a-z][a-z0-9-]{{0,31}}`")]
pub struct InvalidPlanId(String);

/// Identifier of a plan. It says nothing: what a plan is, is in the price book.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PlanId(String);

impl PlanId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PlanId {
    type Error = InvalidPlanId;

    fn try_from(text: String) -> Result<Self, InvalidPlanId> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let begins = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if begins && text.len() <= PLAN_ID_BYTES_MAX && text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err(InvalidPlanId(text.chars().take(64).collect()))
        }
    }
}

impl std::str::FromStr for PlanId {
    type Err = InvalidPlanId;

    fn from_str(text: &str) -> Result<Self, InvalidPlanId> {
        text.to_owned().try_into()
    }
}

impl std::fmt::Display for PlanId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// What usage costs under a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageTerms {
    /// Nothing: it ends at the plan's limits.
    Limit,
    /// The price from the first unit on; what the fee comes to is paid with it.
    FeeCovers,
    /// The price beyond the included amounts.
    Included,
}

/// Who answers a customer's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    Community,
    Email,
    /// Around the clock.
    Dedicated,
}

/// What a plan has beyond amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    Oidc,
    Saml,
    Scim,
    AuditExport,
    VpcPeering,
}

/// One plan. What is `None` has no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub id: PlanId,
    pub display_name: String,
    /// A month, in advance. `None`: an agreement says it.
    #[serde(default, deserialize_with = "whole_cents")]
    pub fee: Option<Cents>,
    pub usage: UsageTerms,
    /// Only with [`UsageTerms::Included`].
    #[serde(default)]
    pub included: Amounts,
    /// At which usage ends; only with [`UsageTerms::Limit`].
    #[serde(default)]
    pub limits: Amounts,
    pub databases_max: Option<u32>,
    /// Largest compute of one database.
    pub database_milli_vcpu_max: Option<u32>,
    pub regions_max: Option<u32>,
    pub members_max: Option<u32>,
    /// Without a client so long, a database falls asleep. `None`: never.
    pub idle_timeout_seconds: Option<u32>,
    pub point_in_time_days_max: u32,
    /// What is written is in the archive after so long.
    pub archive_lag_ms: u32,
    /// A commit may wait for the archive.
    pub archive_lag_s3: bool,
    pub support: Support,
    /// Within which the first answer comes.
    pub first_answer_hours: Option<u32>,
    /// Promised availability, parts per million.
    pub sla_availability_ppm: Option<u32>,
    /// Largest vector index.
    pub vector_index_rows_max: Option<u64>,
    #[serde(default)]
    pub features: Vec<Feature>,
}

impl Plan {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.fee.is_some_and(Cents::is_negative) {
            return Err("the fee is less than nothing".into());
        }
        if !self.included.is_empty() && self.usage != UsageTerms::Included {
            return Err("`included` goes with usage = \"included\" only".into());
        }
        if self.limits.is_empty() == (self.usage == UsageTerms::Limit) {
            return Err("`limits` goes with usage = \"limit\", and that with it".into());
        }
        Ok(())
    }
}

/// A fee is invoiced as it is: it has whole cents.
fn whole_cents<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Cents>, D::Error> {
    let fee = Money::deserialize(from)?;
    fee.whole_cents()
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom(format!("a fee of {fee} has no whole cents")))
}
