//! Databases, as their organization sees them.

use super::in_place::InPlaceRow;
use super::restore::RestoreRow;
use super::{StoreError, TenantTx};
use crate::app::state::{Desired, Durability, Observed};
use lumadb_contract::id::{DatabaseId, OrganizationId, ProjectId};
use sqlx::types::Json;
use time::OffsetDateTime;

/// A database with its size and its region's address.
#[derive(Debug, Clone)]
pub struct DatabaseRow {
    pub id: DatabaseId,
    pub organization_id: OrganizationId,
    pub project_id: ProjectId,
    pub name: String,
    pub region: String,
    pub engine_version: i16,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub revision: i64,
    pub deletion_protection: bool,
    pub generation: i64,
    pub desired: Desired,
    pub run_generation: i64,
    pub milli_vcpu: i32,
    pub memory_mib: i32,
    pub connections_max: i32,
    pub idle_timeout_seconds: Option<i32>,
    pub durability: Durability,
    /// As [`lumadb_contract::network::parse`] reads them.
    pub allowed_networks: Vec<String>,
    pub observed_generation: i64,
    pub observed: Observed,
    pub system_identifier: Option<String>,
    pub engine_minor: Option<String>,
    pub connections: i32,
    pub storage_bytes: i64,
    pub host: String,
    pub port: i32,
    pub wildcard_dns: bool,
    /// By which authority clients know its edges; see [`super::setup::RegionSetup`].
    pub edge_authority_pem: Option<String>,
    /// Whether its edges are in its region's cluster; see [`super::setup::RegionSetup`].
    pub edges_elsewhere: bool,
    /// Where its first content came from; `None`: it began empty.
    pub restore: Option<Json<RestoreRow>>,
    /// The last restore in place that it took part in.
    pub in_place_restore: Option<Json<InPlaceRow>>,
    /// When nothing of it was left but its archive.
    pub deleted_at: Option<OffsetDateTime>,
}

impl DatabaseRow {
    pub fn at_rest_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        at_rest_until(self.desired, self.observed, self.deleted_at, now)
    }
}

/// Until when a database has been as it was when its node spoke last: one of which nothing runs and
/// nothing shall, until now, or until it was deleted.
pub(super) fn at_rest_until(
    desired: Desired,
    observed: Observed,
    deleted_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let rests = matches!(
        (desired, observed),
        (Desired::Asleep, Observed::Asleep) | (Desired::Suspended, Observed::Suspended)
    );
    deleted_at.or(rests.then_some(now))
}

#[derive(Debug, Clone)]
pub struct NewDatabase<'a> {
    pub id: DatabaseId,
    pub project: ProjectId,
    pub name: &'a str,
    pub region: &'a str,
    pub milli_vcpu: i32,
    pub idle_timeout_seconds: Option<i32>,
    pub durability: Durability,
    pub allowed_networks: &'a [String],
    pub deletion_protection: bool,
    pub now: OffsetDateTime,
}

/// What a caller can change of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseChange<'a> {
    pub name: &'a str,
    pub deletion_protection: bool,
    pub milli_vcpu: i32,
    pub idle_timeout_seconds: Option<i32>,
    pub durability: Durability,
    pub allowed_networks: &'a [String],
    pub desired: Desired,
    pub generation: i64,
    pub run_generation: i64,
}

/// Name of the constraint by which two databases of a project cannot share a name.
pub const NAME_UNIQUE: &str = "databases_name";

pub async fn insert(tx: &mut TenantTx, new: &NewDatabase<'_>) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into databases (id, organization_id, project_id, name, region, created_at,
             updated_at, look_at, milli_vcpu, idle_timeout_seconds, deletion_protection, durability,
             allowed_networks)
         values ($1, $2, $3, $4, $5, $6, $6, $6, $7, $8, $9, $10, $11)",
        new.id.uuid(),
        organization.uuid(),
        new.project.uuid(),
        new.name,
        new.region,
        new.now,
        new.milli_vcpu,
        new.idle_timeout_seconds,
        new.deletion_protection,
        new.durability.as_str(),
        new.allowed_networks
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// One that is not deleted. `lock` keeps others from changing it until the transaction ends.
pub async fn find(
    tx: &mut TenantTx,
    id: DatabaseId,
    lock: bool,
) -> Result<Option<DatabaseRow>, StoreError> {
    if lock {
        lock_row(tx, id).await?;
    }
    Ok(select(tx, Some(id), None, None, Which::Living, 1)
        .await?
        .pop())
}

/// One of which something can be restored: it is not deleted, or its archive is still there. It
/// stays until the transaction ends.
pub async fn find_past(
    tx: &mut TenantTx,
    id: DatabaseId,
) -> Result<Option<DatabaseRow>, StoreError> {
    lock_row(tx, id).await?;
    Ok(select(tx, Some(id), None, None, Which::Past, 1)
        .await?
        .pop())
}

async fn lock_row(tx: &mut TenantTx, id: DatabaseId) -> Result<(), StoreError> {
    sqlx::query!(
        "select id from databases where id = $1 for update",
        id.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(())
}

/// Which databases are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Living,
    /// Deleted, with an archive that is not being removed.
    Deleted,
    /// Either.
    Past,
}

/// By identifier, from behind `after` on.
pub async fn list(
    tx: &mut TenantTx,
    project: ProjectId,
    after: Option<DatabaseId>,
    limit: i64,
) -> Result<Vec<DatabaseRow>, StoreError> {
    select(tx, None, Some(project), after, Which::Living, limit).await
}

/// Deleted ones that can be restored, as [`list`].
pub async fn list_deleted(
    tx: &mut TenantTx,
    project: ProjectId,
    after: Option<DatabaseId>,
    limit: i64,
) -> Result<Vec<DatabaseRow>, StoreError> {
    select(tx, None, Some(project), after, Which::Deleted, limit).await
}

async fn select(
    tx: &mut TenantTx,
    id: Option<DatabaseId>,
    project: Option<ProjectId>,
    after: Option<DatabaseId>,
    which: Which,
    limit: i64,
) -> Result<Vec<DatabaseRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        DatabaseRow,
        r#"select d.id as "id: DatabaseId", d.organization_id as "organization_id: OrganizationId",
                  d.project_id as "project_id: ProjectId", d.name, d.region, d.engine_version,
                  d.created_at, d.updated_at, d.revision, d.deletion_protection, d.generation,
                  d.desired as "desired: Desired", d.run_generation, d.milli_vcpu,
                  s.memory_mib, s.connections_max, d.idle_timeout_seconds,
                  d.durability as "durability: Durability", d.allowed_networks,
                  d.observed_generation,
                  d.observed as "observed: Observed",
                  d.system_identifier::text as system_identifier, d.engine_minor, d.connections,
                  d.storage_bytes, r.host, r.port, r.wildcard_dns, r.edge_authority_pem,
                  r.edges_elsewhere,
                  (select to_jsonb(o) from restores o where o.database_id = d.id)
                      as "restore: Json<RestoreRow>",
                  (select to_jsonb(p) from in_place_restores p
                   where p.database_id = d.id or p.kept_database_id = d.id
                   order by p.created_at desc limit 1) as "in_place_restore: Json<InPlaceRow>",
                  d.deleted_at
           from databases d
           join compute_sizes s using (milli_vcpu)
           join regions r on r.name = d.region
           where d.organization_id = $1
             and case when d.deleted_at is null then $6
                      else $7 and exists (select from archives a
                                          where a.database_id = d.id and a.removing_since is null)
                 end
             and ($2::uuid is null or d.id = $2) and ($3::uuid is null or d.project_id = $3)
             and ($4::uuid is null or d.id > $4)
           order by d.id limit $5"#,
        organization.uuid(),
        id.map(DatabaseId::uuid),
        project.map(ProjectId::uuid),
        after.map(DatabaseId::uuid),
        limit,
        which != Which::Deleted,
        which != Which::Living
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Writes what a caller changed and has the loop look at once. The row must be locked.
pub async fn change(
    tx: &mut TenantTx,
    id: DatabaseId,
    to: &DatabaseChange<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set name = $2, deletion_protection = $3, milli_vcpu = $4, idle_timeout_seconds = $5,
             desired = $6, generation = $7, run_generation = $8, revision = revision + 1,
             updated_at = $9, look_at = $9, attempt = 0, durability = $10,
             allowed_networks = $11
         where id = $1 and deleted_at is null",
        id.uuid(),
        to.name,
        to.deletion_protection,
        to.milli_vcpu,
        to.idle_timeout_seconds,
        to.desired.as_str(),
        to.generation,
        to.run_generation,
        now,
        to.durability.as_str(),
        to.allowed_networks
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Changes whether a database runs, for a caller who asked for something else: its revision stays.
/// The row must be locked.
pub async fn steer(
    tx: &mut TenantTx,
    id: DatabaseId,
    to: &DatabaseChange<'_>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases
         set desired = $2, generation = $3, run_generation = $4, look_at = $5, attempt = 0
         where id = $1 and deleted_at is null",
        id.uuid(),
        to.desired.as_str(),
        to.generation,
        to.run_generation,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Says that something inside the database shall change (a role, a logical database) and gives the
/// generation of that.
pub async fn bump_generation(
    tx: &mut TenantTx,
    id: DatabaseId,
    now: OffsetDateTime,
) -> Result<i64, StoreError> {
    let row = sqlx::query!(
        "update databases set generation = generation + 1, look_at = $2, attempt = 0
         where id = $1 and deleted_at is null
         returning generation",
        id.uuid(),
        now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.generation)
}

/// What the organization's plan admits.
#[derive(Debug, Clone)]
pub struct PlanLimits {
    pub plan: String,
    pub databases_max: Option<i32>,
    pub compute_milli_vcpu_max: i32,
    pub compute_milli_vcpu_default: i32,
    pub idle_timeout_seconds: Option<i32>,
    pub durability_s3: bool,
    /// Databases that exist now.
    pub databases: i64,
    /// It does not pay: nothing is added.
    pub is_suspended: bool,
}

/// Reads the plan and counts. Others that create databases in this organization wait for the end
/// of the transaction, so that two cannot take the last place.
pub async fn plan_limits(tx: &mut TenantTx) -> Result<PlanLimits, StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "select id from organizations where id = $1 for no key update",
        organization.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    let limits = sqlx::query_as!(
        PlanLimits,
        r#"select p.display_name as plan, p.databases_max, p.compute_milli_vcpu_max,
                  p.compute_milli_vcpu_default, p.idle_timeout_seconds, p.durability_s3,
                  (select count(*) from databases d
                   where d.organization_id = o.id and d.deleted_at is null) as "databases!",
                  exists(select from billing_customers c
                         where c.organization_id = o.id and c.standing = 'suspended'
                        ) as "is_suspended!"
           from organizations o join plans p on p.id = o.plan_id where o.id = $1"#,
        organization.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(limits)
}

pub async fn region_exists(tx: &mut TenantTx, name: &str) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"select exists(select from regions where name = $1) as "found!""#,
        name
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

/// Sizes on offer, smallest first, thousandths of a vCPU.
pub async fn compute_sizes(tx: &mut TenantTx) -> Result<Vec<i32>, StoreError> {
    let rows = sqlx::query!("select milli_vcpu from compute_sizes order by milli_vcpu")
        .fetch_all(tx.connection())
        .await?;
    Ok(rows.into_iter().map(|row| row.milli_vcpu).collect())
}
