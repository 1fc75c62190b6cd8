//! What a change would cost a month, and which limits of the plan it meets: asked before it is made.
//!
//! A month here is one through which every database is awake with the compute that it has and the
//! bytes that it stores now.

use super::{gone, reckon};
use crate::app::{AppError, Platform};
use crate::store::billing::usage::{self, KnownDatabase};
use crate::store::billing::{customer, plan_change, subscription};
use crate::store::{EitherTx, StoreError};
use lumadb_billing::period::Period;
use lumadb_billing::price_book::{Holdings, Plan, PlanId, Quota};
use lumadb_billing::rating::{self, Agreement, Quote, Standing};
use lumadb_contract::id::{DatabaseId, OrganizationId};
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Whether only to say what would happen.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DryRun {
    /// Answers what the change would cost and which limits it meets, and changes nothing.
    #[serde(default)]
    #[param(default = false)]
    pub dry_run: bool,
}

/// A change that was made, or what it would cost.
#[derive(Debug, Clone)]
pub enum Asked<T> {
    Done(T),
    Quoted(ChangeQuote),
}

/// What a change would cost a month, before credits and tax, and the plan's limits after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeQuote {
    pub plan_id: String,
    pub monthly_before_cents: Cents,
    pub monthly_after_cents: Cents,
    /// Below zero if it becomes cheaper.
    pub monthly_difference_cents: Cents,
    pub quotas: Vec<QuotaStanding>,
    /// Whether no limit stands in the way.
    pub is_possible: bool,
}

/// What would be held of something that the plan limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaStanding {
    pub quota: QuotaName,
    pub held: u32,
    /// Null: as much as you like.
    #[schema(required = true)]
    pub allowed: Option<u32>,
    /// It would be more than the plan allows.
    pub is_exceeded: bool,
}

/// Something of which a plan allows so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaName {
    Databases,
    /// Compute of the largest database, thousandths of a vCPU.
    DatabaseMilliVcpu,
    Regions,
    Members,
    PointInTimeDays,
    /// Databases whose durability is `s3`.
    S3Databases,
}

impl From<Quota> for QuotaName {
    fn from(quota: Quota) -> Self {
        match quota {
            Quota::Databases => Self::Databases,
            Quota::DatabaseMilliVcpu => Self::DatabaseMilliVcpu,
            Quota::Regions => Self::Regions,
            Quota::Members => Self::Members,
            Quota::PointInTimeDays => Self::PointInTimeDays,
            Quota::S3Databases => Self::S3Databases,
        }
    }
}

/// What would change.
#[derive(Debug, Clone, Copy)]
pub(in crate::app) enum Proposal<'a> {
    /// One more database.
    Create { region: &'a str, milli_vcpu: i32 },
    Resize {
        database: DatabaseId,
        milli_vcpu: i32,
    },
    Plan {
        plan: &'a PlanId,
        agreement: &'a Agreement,
    },
}

/// What an organization has, as far as plans limit it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    databases: Vec<KnownDatabase>,
    members: u32,
}

impl Held {
    pub(super) async fn read(
        tx: &mut EitherTx<'_>,
        organization: OrganizationId,
    ) -> Result<Self, StoreError> {
        let mut databases = usage::databases(tx, organization).await?;
        databases.retain(|database| !database.is_deleted);
        let members = plan_change::members(tx, organization).await?;
        Ok(Self {
            databases,
            members: u32::try_from(members).unwrap_or(u32::MAX),
        })
    }

    pub(super) fn holdings(&self) -> Holdings {
        let regions: BTreeSet<&str> = self.databases.iter().map(|d| d.region.as_str()).collect();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let sizes = self.databases.iter().map(|d| milli_vcpu(d.milli_vcpu));
        Holdings {
            databases: count(self.databases.len()),
            database_milli_vcpu: sizes.max().unwrap_or_default(),
            regions: count(regions.len()),
            members: self.members,
            // The window follows the plan: nobody holds more of it than that gives.
            point_in_time_days: 0,
            s3_databases: count(self.databases.iter().filter(|d| d.waits_for_s3).count()),
        }
    }

    fn standings(&self) -> Vec<Standing> {
        let standings = self.databases.iter().map(|database| Standing {
            database: database.id,
            milli_vcpu: milli_vcpu(database.milli_vcpu),
            storage_bytes: reckon::stored_bytes(database),
            requests: 0,
            transfer_out_bytes: 0,
            vector_operations: 0,
        });
        standings.collect()
    }

    fn propose(&mut self, proposal: &Proposal<'_>) {
        match *proposal {
            Proposal::Create { region, milli_vcpu } => self.databases.push(KnownDatabase {
                id: DatabaseId::from_uuid(uuid::Uuid::nil()),
                project_id: lumadb_contract::id::ProjectId::from_uuid(uuid::Uuid::nil()),
                name: String::new(),
                region: region.to_owned(),
                milli_vcpu,
                storage_bytes: 0,
                is_deleted: false,
                waits_for_s3: false,
            }),
            Proposal::Resize {
                database,
                milli_vcpu,
            } => {
                for known in &mut self.databases {
                    if known.id == database {
                        known.milli_vcpu = milli_vcpu;
                    }
                }
            }
            Proposal::Plan { .. } => {}
        }
    }
}

fn milli_vcpu(of: i32) -> u32 {
    u32::try_from(of).unwrap_or_default()
}

/// What a change would come to.
pub(in crate::app) async fn quote(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    proposal: Proposal<'_>,
    now: OffsetDateTime,
) -> Result<ChangeQuote, AppError> {
    let month = Period::of(now)?;
    let (plan, agreement) = current(tx, organization).await?;
    let held = Held::read(tx, organization).await?;
    let mut changed = held.clone();
    changed.propose(&proposal);
    let (next_plan, next_agreement) = match &proposal {
        Proposal::Plan { plan, agreement } => (*plan, *agreement),
        Proposal::Create { .. } | Proposal::Resize { .. } => (&plan, &agreement),
    };
    let (before, after) = (held.standings(), changed.standings());
    let difference = rating::difference(
        &platform.books,
        &Quote {
            plan: &plan,
            agreement: &agreement,
            databases: &before,
        },
        &Quote {
            plan: next_plan,
            agreement: next_agreement,
            databases: &after,
        },
        month,
    )?;
    let book = platform.books.at(month).map_err(AppError::internal)?;
    let sold = book.plan(next_plan).map_err(AppError::internal)?;
    let quotas = quotas(sold, &changed.holdings());
    Ok(ChangeQuote {
        plan_id: next_plan.to_string(),
        monthly_before_cents: difference.before.cost()?,
        monthly_after_cents: difference.after.cost()?,
        monthly_difference_cents: difference.monthly,
        is_possible: quotas.iter().all(|quota| !quota.is_exceeded),
        quotas,
    })
}

/// The plan and the agreement that hold.
pub(super) async fn current(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<(PlanId, Agreement), AppError> {
    let customer = customer::find(tx, organization).await?.ok_or_else(gone)?;
    let rows = subscription::list(tx, organization).await?;
    let now = rows.into_iter().rev().find(|row| row.ends_at.is_none());
    let agreement = now.map(|row| row.agreement.0).unwrap_or_default();
    Ok((reckon::plan_id(&customer.plan_id)?, agreement))
}

fn quotas(plan: &Plan, held: &Holdings) -> Vec<QuotaStanding> {
    let exceeded = plan.excess(held);
    let quotas = [
        (Quota::Databases, held.databases, plan.databases_max),
        (
            Quota::DatabaseMilliVcpu,
            held.database_milli_vcpu,
            plan.database_milli_vcpu_max,
        ),
        (Quota::Regions, held.regions, plan.regions_max),
        (Quota::Members, held.members, plan.members_max),
        (
            Quota::S3Databases,
            held.s3_databases,
            plan.s3_databases_max(),
        ),
    ];
    let standings = quotas
        .into_iter()
        .map(|(quota, held, allowed)| QuotaStanding {
            quota: quota.into(),
            held,
            allowed,
            is_exceeded: exceeded.iter().any(|excess| excess.quota == quota),
        });
    standings.collect()
}
