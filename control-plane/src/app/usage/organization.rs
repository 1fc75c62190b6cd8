//! Usage of an organization: by hour, day or month; all of it, by project or by database.

use super::report::{Granularity, Quantities, Sums, range_of, start_of};
use super::split_by_hour;
use crate::app::authorize::authorize;
use crate::app::billing::{self, BilledDatabase, reckon};
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::usage::{self, KnownDatabase, Which};
use lumadb_contract::id::{DatabaseId, OrganizationId, ProjectId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Which part of the past, of what, and how it is put together.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrganizationUsageQuery {
    /// RFC 3339; cut to the hour, the day or the month (UTC). The start of today if left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
    /// RFC 3339, not included; the end of the running hour, day or month if left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub to: Option<OffsetDateTime>,
    #[serde(default)]
    pub granularity: Granularity,
    /// Only databases of this project.
    pub project_id: Option<ProjectId>,
    /// Only this database.
    pub database_id: Option<DatabaseId>,
    #[serde(default)]
    pub group_by: GroupBy,
}

/// What an item of usage is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// Everything together.
    #[default]
    None,
    Project,
    Database,
}

/// Usage of an organization.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrganizationUsage {
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Not included.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    pub granularity: Granularity,
    pub group_by: GroupBy,
    pub totals: Quantities,
    /// Where something was used, the oldest first.
    pub items: Vec<OrganizationUsageItem>,
    /// If it was asked for by database: what the items are of, and those that are there and used
    /// nothing; the oldest first.
    pub databases: Vec<BilledDatabase>,
}

/// Usage of an hour, a day or a month.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrganizationUsageItem {
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    /// If it was asked for by project or by database.
    #[schema(required = true)]
    pub project_id: Option<ProjectId>,
    /// If it was asked for by database.
    #[schema(required = true)]
    pub database_id: Option<DatabaseId>,
    #[serde(flatten)]
    pub quantities: Quantities,
}

pub async fn organization_usage_get(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    query: OrganizationUsageQuery,
) -> Result<OrganizationUsage, AppError> {
    let member = authorize(platform, caller, organization, Action::UsageRead).await?;
    let mut tenant = platform.store.tenant(member.organization).await?;
    let tx = &mut EitherTx::Tenant(&mut tenant);
    let now = billing::now(platform, tx).await?;
    let granularity = query.granularity;
    let (from, to) = range_of(query.from, query.to, granularity, now)?;
    let which = Which {
        project: query.project_id,
        database: query.database_id,
    };
    let hours = reckon::hours(tx, organization, which, (from, to), now).await?;
    let spans = usage::spans(tx, organization, which, from, to).await?;
    let databases = usage::databases(tx, organization).await?;
    tenant.commit().await?;
    let projects: BTreeMap<DatabaseId, ProjectId> =
        databases.iter().map(|d| (d.id, d.project_id)).collect();
    let group = |database: DatabaseId| match query.group_by {
        GroupBy::None => (None, None),
        GroupBy::Project => (projects.get(&database).copied(), None),
        GroupBy::Database => (projects.get(&database).copied(), Some(database)),
    };
    let mut totals = Sums::default();
    let mut items: BTreeMap<_, Sums> = BTreeMap::new();
    let mut add = |database, hour, sums: &Sums| {
        totals.add(sums);
        let key = (start_of(granularity, hour), group(database));
        items.entry(key).or_default().add(sums);
    };
    for of in &hours {
        add(of.hour.database, of.hour.starts_at, &Sums::of_hour(of));
    }
    for span in &spans {
        let parts = split_by_hour(span.started_at.max(from), span.ended_at.min(to));
        for (hour, us) in parts {
            let sums = Sums::of_compute(span.milli_vcpu, us);
            add(span.database, hour, &sums);
        }
    }
    let items: Vec<_> = items
        .into_iter()
        .map(
            |((start, (project_id, database_id)), sums)| OrganizationUsageItem {
                start,
                project_id,
                database_id,
                quantities: sums.quantities(),
            },
        )
        .collect();
    let databases = match query.group_by {
        GroupBy::None | GroupBy::Project => Vec::new(),
        GroupBy::Database => named(databases, which, &items),
    };
    Ok(OrganizationUsage {
        from,
        to,
        granularity,
        group_by: query.group_by,
        items,
        totals: totals.quantities(),
        databases,
    })
}

/// Those that the items are of, and those that are there.
fn named(
    databases: Vec<KnownDatabase>,
    which: Which,
    items: &[OrganizationUsageItem],
) -> Vec<BilledDatabase> {
    let used: BTreeSet<DatabaseId> = items.iter().filter_map(|item| item.database_id).collect();
    let is_asked = |database: &KnownDatabase| {
        which.database.is_none_or(|id| id == database.id)
            && which.project.is_none_or(|id| id == database.project_id)
    };
    databases
        .into_iter()
        .filter(|database| {
            is_asked(database) && (!database.is_deleted || used.contains(&database.id))
        })
        .map(BilledDatabase::from)
        .collect()
}
