//! What is sold and where; the same for everybody, logged in or not.

use crate::app::{AppError, Platform, billing};
use crate::store::billing::clock;
use crate::store::catalog::{self, DerivedPlan, PlanRow};
use crate::store::{EitherTx, StoreError};
use lumadb_billing::period::Period;
use lumadb_billing::price_book::{
    Amounts, Feature, Per, Plan as Sold, PriceBook, Support, UsageTerms,
};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;
use serde::Serialize;
use utoipa::ToSchema;

/// Where databases can be.
#[derive(Debug, Serialize, ToSchema)]
pub struct Region {
    pub name: String,
    pub display_name: String,
    /// Host that clients of its databases connect to.
    pub host: String,
    pub port: i32,
}

/// What an organization can have.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plan {
    pub id: String,
    pub display_name: String,
    /// Null: as many as you like.
    pub databases_max: Option<i32>,
    /// Thousandths of a vCPU.
    pub compute_milli_vcpu_max: i32,
    /// Thousandths of a vCPU.
    pub compute_milli_vcpu_default: i32,
    /// Seconds without a client after which a database falls asleep; null: never.
    pub idle_timeout_seconds: Option<i32>,
    /// Null: as many as you like.
    pub members_max: Option<i32>,
    /// Whether its databases may have the durability `s3`.
    pub durability_s3: bool,
    /// A month, in advance; null: an agreement says it.
    #[schema(required = true)]
    pub fee_cents: Option<Cents>,
    pub usage: PlanUsage,
    /// Of each meter without an amount, nothing.
    pub included: Vec<PlanAmount>,
    /// Where usage ends.
    pub limits: Vec<PlanAmount>,
    /// How far back a database can be restored at most.
    pub restore_window_days_max: u32,
    /// Names of what it has beyond amounts.
    pub features: Vec<String>,
    #[schema(examples("email"))]
    pub support: String,
}

/// What usage costs under a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanUsage {
    /// Nothing: it ends at the plan's limits.
    Limit,
    /// The price from the first unit on; what the fee comes to is paid with it.
    FeeCovers,
    /// The price beyond the included amounts.
    Included,
}

/// An amount of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanAmount {
    pub meter: Meter,
    /// Bytes for storage and transfer, thousandths of a vCPU for compute, else a count.
    pub amount: u64,
    pub per: AmountPer,
}

/// Over which time an amount may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AmountPer {
    /// Held all the time.
    Moment,
    /// Anew on each day (UTC).
    Day,
    /// Anew in each month.
    Month,
}

/// What a unit of a meter costs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Price {
    pub meter: Meter,
    #[schema(examples("GB-month"))]
    pub sold_in: String,
    /// Dollars for one of those.
    #[schema(examples("0.10"))]
    pub price: String,
}

/// A size of compute on offer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComputeSize {
    /// Thousandths of a vCPU.
    pub milli_vcpu: i32,
    pub memory_mib: i32,
    pub connections_max: i32,
}

/// Plans, and the sizes that they can use.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plans {
    /// Version of the price book.
    pub book: String,
    pub prices: Vec<Price>,
    pub items: Vec<Plan>,
    pub compute_sizes: Vec<ComputeSize>,
}

pub async fn region_list(platform: &Platform) -> Result<Vec<Region>, AppError> {
    let mut tx = platform.store.identity(None, None).await?;
    let rows = catalog::regions(&mut tx).await?;
    tx.commit().await?;
    let regions = rows.into_iter().map(|row| Region {
        name: row.name,
        display_name: row.display_name,
        host: row.host,
        port: row.port,
    });
    Ok(regions.collect())
}

pub async fn plan_list(platform: &Platform) -> Result<Plans, AppError> {
    let mut tx = platform.store.identity(None, None).await?;
    let plans = catalog::plans(&mut tx).await?;
    let sizes = catalog::compute_sizes(&mut tx).await?;
    let now = platform.clock.now() + clock::ahead_of_identity(&mut tx).await?;
    tx.commit().await?;
    let book = platform
        .books
        .at(Period::of(now)?)
        .map_err(AppError::internal)?;
    let sold = book.plans.iter().filter_map(|sold| {
        let row = plans.iter().find(|row| row.id == sold.id.as_str())?;
        Some(plan_view(row, sold))
    });
    let prices = Meter::ALL.into_iter().map(|meter| Price {
        meter,
        sold_in: meter.sold_in().to_owned(),
        price: book.price(meter).to_string(),
    });
    let compute_sizes = sizes.into_iter().map(|row| ComputeSize {
        milli_vcpu: row.milli_vcpu,
        memory_mib: row.memory_mib,
        connections_max: row.connections_max,
    });
    Ok(Plans {
        book: book.version.to_string(),
        prices: prices.collect(),
        items: sold.collect(),
        compute_sizes: compute_sizes.collect(),
    })
}

fn plan_view(row: &PlanRow, sold: &Sold) -> Plan {
    Plan {
        id: row.id.clone(),
        display_name: row.display_name.clone(),
        databases_max: row.databases_max,
        compute_milli_vcpu_max: row.compute_milli_vcpu_max,
        compute_milli_vcpu_default: row.compute_milli_vcpu_default,
        idle_timeout_seconds: row.idle_timeout_seconds,
        members_max: row.members_max,
        durability_s3: row.durability_s3,
        fee_cents: sold.fee,
        usage: match sold.usage {
            UsageTerms::Limit => PlanUsage::Limit,
            UsageTerms::FeeCovers => PlanUsage::FeeCovers,
            UsageTerms::Included => PlanUsage::Included,
        },
        included: amounts(&sold.included),
        limits: amounts(&sold.limits),
        restore_window_days_max: sold.point_in_time_days_max,
        features: sold
            .features
            .iter()
            .map(|feature| feature_name(*feature))
            .collect(),
        support: match sold.support {
            Support::Community => "community",
            Support::Email => "email",
            Support::Dedicated => "dedicated",
        }
        .to_owned(),
    }
}

fn feature_name(feature: Feature) -> String {
    match feature {
        Feature::Oidc => "oidc",
        Feature::Saml => "saml",
        Feature::Scim => "scim",
        Feature::AuditExport => "audit_export",
        Feature::VpcPeering => "vpc_peering",
    }
    .to_owned()
}

fn amounts(amounts: &Amounts) -> Vec<PlanAmount> {
    let named = Meter::ALL.into_iter().filter_map(|meter| {
        let found = amounts.get(meter)?;
        Some(PlanAmount {
            meter,
            amount: found.amount,
            per: match found.per {
                Per::Moment => AmountPer::Moment,
                Per::Day => AmountPer::Day,
                Per::Period => AmountPer::Month,
            },
        })
    });
    named.collect()
}

/// Brings the plans of the store in line with the price book that is in force. Rows that were
/// derived from it before stay as they are.
pub async fn plans_derive(platform: &Platform) -> Result<(), AppError> {
    let mut tx = platform.store.region().await?;
    let now = billing::now(platform, &mut EitherTx::Region(&mut tx)).await?;
    let book = platform
        .books
        .at(Period::of(now)?)
        .map_err(AppError::internal)?;
    for plan in derived(book)? {
        catalog::plan_derive(&mut tx, &plan).await?;
    }
    tx.commit().await?;
    Ok(())
}

fn derived(book: &PriceBook) -> Result<Vec<DerivedPlan<'_>>, StoreError> {
    let number = |number: u32| {
        i32::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} is too large")))
    };
    let option = |value: Option<u32>| value.map(number).transpose();
    let plans = (0_i32..).zip(&book.plans).map(|(position, plan)| {
        Ok(DerivedPlan {
            id: plan.id.as_str(),
            display_name: &plan.display_name,
            position,
            databases_max: option(plan.databases_max)?,
            compute_milli_vcpu_max: option(plan.database_milli_vcpu_max)?,
            idle_timeout_seconds: option(plan.idle_timeout_seconds)?,
            members_max: option(plan.members_max)?,
            restore_window_days: number(plan.point_in_time_days_max)?,
            archive_lag_ms: number(plan.archive_lag_ms)?,
            durability_s3: plan.archive_lag_s3,
            book: book.version.as_str(),
        })
    });
    plans.collect()
}

/// Whether the control plane's database answers.
pub async fn ready(platform: &Platform) -> Result<(), AppError> {
    let mut tx = platform.store.identity(None, None).await?;
    catalog::ping(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}
