//! Desired and observed state, for the loop of a region: claim briefly, work outside of any
//! transaction, write under the claim.

use super::recovery::RecoveryRow;
use super::{RegionTx, StoreError};
use crate::app::state::{Desired, Durability, Observed, OperationKind, OperationState, Step};
use lumadb_contract::id::{DatabaseId, IncarnationId, OperationId, OrganizationId};
use lumadb_contract::instance::{LogicalDatabaseSpec, RoleSpec};
use lumadb_contract::name::PgName;
use lumadb_contract::route::NodeAddress;
use lumadb_contract::scram::ScramVerifier;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who claims, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    pub owner: Uuid,
    pub until: OffsetDateTime,
}

/// A claimed database: everything the loop needs to decide.
#[derive(Debug, Clone)]
pub struct ClaimedDatabase {
    pub id: DatabaseId,
    /// Of whom its content is: what a runtime and a node know it by.
    pub instance_id: DatabaseId,
    pub organization_id: OrganizationId,
    pub engine_version: i16,
    pub route_number: i32,
    pub revision: i64,
    pub generation: i64,
    pub desired: Desired,
    pub milli_vcpu: i32,
    pub memory_mib: i32,
    pub connections_max: i32,
    pub idle_timeout_seconds: Option<i32>,
    pub durability: Durability,
    pub allowed_networks: Vec<String>,
    pub observed_generation: i64,
    pub observed: Observed,
    pub incarnation_id: Option<IncarnationId>,
    pub node_address: Option<Json<NodeAddress>>,
    pub engine_minor: Option<String>,
    pub system_identifier: Option<String>,
    pub idle_since: Option<OffsetDateTime>,
    pub error: Option<String>,
    pub attempt: i32,
    /// When the schedule asks for a backup; `None`: it has no archive, or a backup that was asked
    /// for has not ended.
    pub backup_due_at: Option<OffsetDateTime>,
    /// A backup that was asked for lately is being made, or somebody waits for it.
    pub has_backup: bool,
    /// It changes places with another and stops for that: nobody wakes it.
    pub is_halted: bool,
    /// It is being restored in place, or shall be.
    pub is_in_place: bool,
    /// How it was last brought back after its content was lost, or is.
    pub recovery: Option<Json<RecoveryRow>>,
}

/// An operation that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOperation {
    pub id: OperationId,
    pub kind: OperationKind,
    pub state: OperationState,
    pub generation: i64,
    pub steps: Json<Vec<Step>>,
    pub started_at: Option<OffsetDateTime>,
    pub deadline_at: OffsetDateTime,
}

/// What was observed, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub observed: Observed,
    pub observed_generation: i64,
    pub incarnation_id: Option<IncarnationId>,
    pub node_address: Option<NodeAddress>,
    pub engine_minor: Option<String>,
    pub system_identifier: Option<String>,
    pub idle_since: Option<OffsetDateTime>,
    /// For an operator.
    pub error: Option<String>,
}

/// How an operation stands, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    pub id: OperationId,
    pub state: OperationState,
    pub steps: Vec<Step>,
    pub error: Option<String>,
    pub started_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
}

/// Claims at most `limit` databases of a region that are due, or whose instances are among `also`.
/// Here and in what follows a database is known by its instance, as the runtime knows it.
pub async fn claim(
    tx: &mut RegionTx,
    region: &str,
    lease: Lease,
    now: OffsetDateTime,
    also: &[DatabaseId],
    except: &[DatabaseId],
    limit: i64,
) -> Result<Vec<DatabaseId>, StoreError> {
    // A claim that a crash loses is taken again: no reason to wait for the disk.
    sqlx::query!("select set_config('synchronous_commit', 'off', true) as done")
        .fetch_one(tx.connection())
        .await?;
    let also: Vec<_> = also.iter().map(|id| id.uuid()).collect();
    let except: Vec<_> = except.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"with due as (
               select id from databases
               where region = $1 and deleted_at is null
                 and (look_at <= $2 or instance_id = any($3)) and instance_id <> all($4)
                 and (lease_until is null or lease_until <= $2 or lease_owner = $5)
               order by look_at limit $6 for update skip locked)
           update databases d set lease_owner = $5, lease_until = $7 from due where d.id = due.id
           returning d.instance_id as "id: DatabaseId""#,
        region,
        now,
        &also,
        &except,
        lease.owner,
        limit,
        lease.until
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Keeps claims for longer. Those that were lost stay lost.
pub async fn renew(tx: &mut RegionTx, lease: Lease, ids: &[DatabaseId]) -> Result<(), StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    sqlx::query!(
        "update databases set lease_until = $3 where lease_owner = $1 and instance_id = any($2)",
        lease.owner,
        &ids,
        lease.until
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has the loop look at everything: after a start it knows nothing.
pub async fn look_at_all(
    tx: &mut RegionTx,
    region: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases set look_at = $2 where region = $1 and deleted_at is null",
        region,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Has the loop look at one at once.
pub async fn look_at(
    tx: &mut RegionTx,
    id: DatabaseId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update databases set look_at = $2 where id = $1 and deleted_at is null",
        id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// A database as it is now; `None` when another holds the claim. Backups that were asked for before
/// `backups_since` do not count.
pub async fn load(
    tx: &mut RegionTx,
    instance: DatabaseId,
    owner: Uuid,
    backups_since: OffsetDateTime,
) -> Result<Option<ClaimedDatabase>, StoreError> {
    let row = sqlx::query_as!(
        ClaimedDatabase,
        r#"select d.id as "id: DatabaseId", d.instance_id as "instance_id: DatabaseId",
                  d.organization_id as "organization_id: OrganizationId", d.engine_version, d.route_number, d.revision, d.generation,
                  d.desired as "desired: Desired", d.milli_vcpu, s.memory_mib, s.connections_max,
                  d.idle_timeout_seconds, d.durability as "durability: Durability",
                  d.allowed_networks, d.observed_generation,
                  d.observed as "observed: Observed",
                  d.incarnation_id as "incarnation_id: IncarnationId",
                  d.node_address as "node_address: Json<NodeAddress>", d.engine_minor,
                  d.system_identifier::text as system_identifier, d.idle_since, d.error, d.attempt,
                  (select a.backup_due_at from archives a
                   where a.database_id = d.id
                     and not exists(select from backups b
                                    where b.archive_id = a.id
                                      and b.state in ('pending', 'running'))) as backup_due_at,
                  exists(select from backups b
                         where b.database_id = d.id and b.requested_at > $3
                           and (b.state = 'running'
                                or b.state = 'pending' and b.origin = 'manual')) as "has_backup!",
                  exists(select from in_place_restores p
                         where p.phase = 'stopping'
                           and (p.database_id = d.id or p.kept_database_id = d.id))
                      as "is_halted!",
                  exists(select from in_place_restores p
                         where p.ended_at is null
                           and (p.database_id = d.id or p.kept_database_id = d.id))
                      as "is_in_place!",
                  (select to_jsonb(c) from recoveries c
                   where c.database_id = d.id) as "recovery: Json<RecoveryRow>"
           from databases d join compute_sizes s using (milli_vcpu)
           where d.instance_id = $1 and d.lease_owner = $2 and d.deleted_at is null"#,
        instance.uuid(),
        owner,
        backups_since
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// The roles of a database, and its logical databases, as its node is told them.
pub async fn contents(
    tx: &mut RegionTx,
    id: DatabaseId,
) -> Result<(Vec<RoleSpec>, Vec<LogicalDatabaseSpec>), StoreError> {
    let roles = sqlx::query!(
        r#"select name as "name: PgName", verifier, is_owner from database_roles
           where database_id = $1 order by is_owner desc, id"#,
        id.uuid()
    )
    .fetch_all(tx.connection())
    .await?
    .into_iter()
    .map(|row| {
        Ok(RoleSpec {
            name: row.name,
            verifier: ScramVerifier::parse(&row.verifier)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?,
            owner: row.is_owner,
        })
    })
    .collect::<Result<_, StoreError>>()?;
    let logical = sqlx::query_as!(
        LogicalDatabaseSpec,
        r#"select l.name as "name: PgName", r.name as "owner: PgName"
           from logical_databases l join database_roles r on r.id = l.owner_role_id
           where l.database_id = $1 order by l.id"#,
        id.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok((roles, logical))
}

/// Those that the loop ends: a restore in place is not among them before the databases have changed
/// places, nor a recovery before there is something to restore into.
pub async fn open_operations(
    tx: &mut RegionTx,
    id: DatabaseId,
) -> Result<Vec<OpenOperation>, StoreError> {
    let rows = sqlx::query_as!(
        OpenOperation,
        r#"select id as "id: OperationId", kind as "kind: OperationKind",
                  state as "state: OperationState", generation, steps as "steps: Json<Vec<Step>>",
                  started_at, deadline_at
           from operations o where database_id = $1 and ended_at is null
             and not exists (select from in_place_restores p
                             where p.operation_id = o.id and p.ended_at is null)
             and not exists (select from recoveries c
                             where c.operation_id = o.id and c.phase = 'clearing')
           order by id"#,
        id.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Writes what was observed and gives the claim back. The next look is `look_at`, or at once if a
/// caller changed something in the meantime. False: the claim was lost, and nothing is written.
pub async fn finish(
    tx: &mut RegionTx,
    claimed: &ClaimedDatabase,
    owner: Uuid,
    record: &Record,
    attempt: i32,
    look_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update databases
         set observed = $3, observed_generation = $4, incarnation_id = $5, node_address = $6,
             engine_minor = $7, system_identifier = $8::text::numeric, idle_since = $9,
             error = $10, observed_at = $11, lease_owner = null, lease_until = null,
             attempt = $12,
             look_at = case when generation = $13 and revision = $14 then $15 else look_at end
         where id = $1 and lease_owner = $2 and deleted_at is null",
        claimed.id.uuid(),
        owner,
        record.observed.as_str(),
        record.observed_generation,
        record.incarnation_id.map(IncarnationId::uuid),
        record.node_address.as_ref().map(Json) as _,
        record.engine_minor,
        record.system_identifier,
        record.idle_since,
        record.error,
        now,
        attempt,
        claimed.generation,
        claimed.revision,
        look_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes how operations stand; those that ended in the meantime stay as they are.
pub async fn record_operations(
    tx: &mut RegionTx,
    records: &[OperationRecord],
) -> Result<(), StoreError> {
    for record in records {
        sqlx::query!(
            "update operations set state = $2, steps = $3, error = $4, started_at = $5,
                 ended_at = $6
             where id = $1 and ended_at is null",
            record.id.uuid(),
            record.state.as_str(),
            Json(&record.steps) as _,
            record.error,
            record.started_at,
            record.ended_at
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Changes whether a database runs, unless something else changed since `generation`.
pub async fn set_desired(
    tx: &mut RegionTx,
    id: DatabaseId,
    generation: i64,
    from: Desired,
    to: Desired,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update databases
         set desired = $4, generation = generation + 1, run_generation = generation + 1,
             look_at = $5, attempt = 0
         where id = $1 and generation = $2 and desired = $3 and deleted_at is null",
        id.uuid(),
        generation,
        from.as_str(),
        to.as_str(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Wakes a database that sleeps; one in any other state stays as it is, and one that changes places
/// with another wakes up by itself.
pub async fn wake(
    tx: &mut RegionTx,
    region: &str,
    id: DatabaseId,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update databases
         set desired = 'running', generation = generation + 1, run_generation = generation + 1,
             look_at = $3, attempt = 0
         where id = $1 and region = $2 and desired = 'asleep' and deleted_at is null
           and not exists (select from in_place_restores p
                           where p.phase = 'stopping' and (p.database_id = $1
                                                           or p.kept_database_id = $1))",
        id.uuid(),
        region,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Nothing of the instance is left: the row stays as a record. Roles and logical databases stay for
/// as long as the archive does, so that the database can be restored; without one they go.
pub async fn mark_deleted(
    tx: &mut RegionTx,
    id: DatabaseId,
    owner: Uuid,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update databases
         set deleted_at = $3, observed = 'deleted', observed_generation = generation,
             observed_at = $3, updated_at = $3, incarnation_id = null, node_address = null,
             idle_since = null, connections = 0, error = null, lease_owner = null,
             lease_until = null
         where id = $1 and lease_owner = $2 and desired = 'deleted' and deleted_at is null",
        id.uuid(),
        owner,
        now
    )
    .execute(tx.connection())
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "delete from logical_databases where database_id = $1
           and not exists (select from archives a where a.database_id = $1)",
        id.uuid()
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from database_roles where database_id = $1
           and not exists (select from archives a where a.database_id = $1)",
        id.uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(true)
}

/// Whether this is the instance of a database of a region, also of one that is deleted, or one made
/// there for a drill.
pub async fn is_of_region(
    tx: &mut RegionTx,
    region: &str,
    instance: DatabaseId,
) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        r#"select exists(select from databases where instance_id = $1 and region = $2)
               or exists(select from drills where instance_id = $1 and region = $2) as "found!""#,
        instance.uuid(),
        region
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

/// Which of these instances belong to deleted databases, so that what a runtime still has of them
/// may go.
pub async fn deleted_among(
    tx: &mut RegionTx,
    ids: &[DatabaseId],
) -> Result<Vec<DatabaseId>, StoreError> {
    let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        r#"select instance_id as "id: DatabaseId" from databases
           where instance_id = any($1) and deleted_at is not null"#,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}
