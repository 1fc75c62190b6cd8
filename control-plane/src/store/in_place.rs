//! Restores in place: two databases of one organization that change instances.

use super::role::{RoleRow, StoredPassword};
use super::{RegionTx, StoreError, TenantTx};
use crate::app::state::{
    Desired, Durability, InPlacePhase, Observed, OperationKind, OperationState, RestorePhase, Step,
};
use lumadb_contract::id::{DatabaseId, OperationId, OrganizationId, RoleId};
use lumadb_contract::name::PgName;
use serde::Deserialize;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

/// A row, read as PostgreSQL's `to_jsonb` gives it: it hangs on the rows of both databases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InPlaceRow {
    operation_id: Uuid,
    database_id: Uuid,
    kept_database_id: Uuid,
    pub phase: InPlacePhase,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

impl InPlaceRow {
    pub const fn operation(&self) -> OperationId {
        OperationId::from_uuid(self.operation_id)
    }

    pub const fn database(&self) -> DatabaseId {
        DatabaseId::from_uuid(self.database_id)
    }

    pub const fn kept(&self) -> DatabaseId {
        DatabaseId::from_uuid(self.kept_database_id)
    }
}

#[derive(Debug)]
pub struct NewInPlace {
    pub operation: OperationId,
    pub database: DatabaseId,
    pub kept: DatabaseId,
    /// The kept one was made for this.
    pub is_made: bool,
    pub now: OffsetDateTime,
}

pub async fn insert(tx: &mut TenantTx, new: &NewInPlace) -> Result<(), StoreError> {
    let organization = tx.organization();
    sqlx::query!(
        "insert into in_place_restores (operation_id, organization_id, database_id,
             kept_database_id, is_made, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        new.operation.uuid(),
        organization.uuid(),
        new.database.uuid(),
        new.kept.uuid(),
        new.is_made,
        new.now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The one under way that a database takes part in.
pub async fn open_of(
    tx: &mut TenantTx,
    database: DatabaseId,
) -> Result<Option<InPlaceRow>, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select to_jsonb(p) as "row!: Json<InPlaceRow>" from in_place_restores p
           where organization_id = $1 and ended_at is null
             and (database_id = $2 or kept_database_id = $2)"#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| row.row.0))
}

/// Whether a database once kept what another had before it was restored in place.
pub async fn was_kept(
    tx: &mut TenantTx,
    database: DatabaseId,
    kept: DatabaseId,
) -> Result<bool, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        r#"select exists(select from in_place_restores
                         where organization_id = $1 and database_id = $2
                           and kept_database_id = $3 and phase = 'done') as "found!""#,
        organization.uuid(),
        database.uuid(),
        kept.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(row.found)
}

/// Names of a project's databases that begin so.
pub async fn names_like(
    tx: &mut TenantTx,
    of: DatabaseId,
    beginning: &str,
) -> Result<Vec<String>, StoreError> {
    let organization = tx.organization();
    let names = sqlx::query_scalar!(
        "select name from databases
         where organization_id = $1 and deleted_at is null and starts_with(name, $3)
           and project_id = (select project_id from databases where id = $2)",
        organization.uuid(),
        of.uuid(),
        beginning
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(names)
}

/// Ends one that has not begun to stop anybody, for its owner cancelled it: what was made for it
/// goes. False: it has begun.
pub async fn cancel(
    tx: &mut TenantTx,
    operation: OperationId,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let ended = sqlx::query!(
        r#"update in_place_restores set phase = 'abandoned', ended_at = $2
           where operation_id = $1 and phase = 'preparing'
           returning kept_database_id as "kept: DatabaseId", is_made"#,
        operation.uuid(),
        now
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(ended) = ended else {
        return Ok(false);
    };
    if ended.is_made {
        sqlx::query!(
            "update databases
             set desired = 'deleted', generation = generation + 1,
                 run_generation = generation + 1, look_at = $2, attempt = 0
             where id = $1 and deleted_at is null",
            ended.kept.uuid(),
            now
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(true)
}

/// Those of a region that have not ended.
pub async fn open(tx: &mut RegionTx, region: &str) -> Result<Vec<OperationId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"select p.operation_id as "id: OperationId"
           from in_place_restores p join databases d on d.id = p.database_id
           where p.ended_at is null and d.region = $1 order by p.created_at"#,
        region
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(ids)
}

/// One of the two databases, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub id: DatabaseId,
    pub instance_id: DatabaseId,
    pub generation: i64,
    pub desired: Desired,
    pub observed: Observed,
    pub observed_generation: i64,
    pub durability: Durability,
    /// It stands still, whatever is asked of it.
    pub is_held: bool,
    /// A loop looks at it now.
    pub is_claimed: bool,
}

/// One that has not ended, with all that decides what comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInPlace {
    pub operation_id: OperationId,
    pub organization_id: OrganizationId,
    pub phase: InPlacePhase,
    pub is_made: bool,
    pub stopping_since: Option<OffsetDateTime>,
    pub database: Side,
    pub kept: Side,
    /// How far the content is that the kept one was made with.
    pub restore: Option<RestorePhase>,
    pub refusal: Option<String>,
    /// The archive of what shall be restored holds a backup.
    pub is_backed_up: bool,
    pub kind: OperationKind,
    pub state: OperationState,
    pub steps: Vec<Step>,
    pub started_at: Option<OffsetDateTime>,
    pub deadline_at: OffsetDateTime,
}

/// Reads one and keeps others from changing it or its databases until the transaction ends. `None`:
/// it has ended, or another is at it.
pub async fn lock(
    tx: &mut RegionTx,
    operation: OperationId,
    now: OffsetDateTime,
) -> Result<Option<OpenInPlace>, StoreError> {
    let named = sqlx::query!(
        "select database_id, kept_database_id from in_place_restores
         where operation_id = $1 and ended_at is null",
        operation.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(named) = named else {
        return Ok(None);
    };
    let ids = [named.database_id, named.kept_database_id];
    // Usage is taken in under these, before it touches the rows of databases.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended(instance_id::text, 0))::text as lock
         from (select instance_id from databases where id = any($1) order by instance_id) d",
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    let locked = sqlx::query_as!(
        Side,
        r#"select id as "id: DatabaseId", instance_id as "instance_id: DatabaseId", generation,
                  desired as "desired: Desired", observed as "observed: Observed",
                  observed_generation, durability as "durability: Durability",
                  hold is not null as "is_held!", coalesce(lease_until > $2, false) as "is_claimed!"
           from databases where id = any($1) order by id for update skip locked"#,
        &ids,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    let side = |id: Uuid| locked.iter().find(|side| side.id.uuid() == id).cloned();
    let (Some(database), Some(kept)) = (side(named.database_id), side(named.kept_database_id))
    else {
        return Ok(None);
    };
    let row = sqlx::query!(
        r#"select p.organization_id as "organization_id: OrganizationId",
                  p.phase as "phase: InPlacePhase", p.is_made, p.stopping_since,
                  o.kind as "kind: OperationKind", o.state as "state: OperationState",
                  o.steps as "steps: Json<Vec<Step>>", o.started_at, o.deadline_at,
                  r.phase as "restore?: RestorePhase", r.refusal as "refusal?",
                  exists(select from archives a where a.database_id = p.kept_database_id
                           and a.windows <> '[]') as "is_backed_up!"
           from in_place_restores p
           join operations o on o.id = p.operation_id
           left join restores r on r.database_id = p.kept_database_id
           where p.operation_id = $1 and p.ended_at is null for update of p"#,
        operation.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| OpenInPlace {
        operation_id: operation,
        organization_id: row.organization_id,
        phase: row.phase,
        is_made: row.is_made,
        stopping_since: row.stopping_since,
        database,
        kept,
        restore: row.restore,
        refusal: row.refusal,
        is_backed_up: row.is_backed_up,
        kind: row.kind,
        state: row.state,
        steps: row.steps.0,
        started_at: row.started_at,
        deadline_at: row.deadline_at,
    }))
}

/// Has both stop. Nobody wakes them until this has ended.
pub async fn stop(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update in_place_restores set phase = 'stopping', stopping_since = $2
         where operation_id = $1",
        open.operation_id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update databases
         set desired = 'asleep', generation = generation + 1, run_generation = generation + 1,
             look_at = $3, attempt = 0
         where id = $1 or id = $2",
        open.database.id.uuid(),
        open.kept.id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Gives up: the database goes on with what it has, and what was made for this goes.
pub async fn abandon(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update in_place_restores set phase = 'abandoned', ended_at = $2 where operation_id = $1",
        open.operation_id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    if open.phase == InPlacePhase::Stopping {
        sqlx::query!(
            "update databases
             set desired = case when hold is null then 'running' else desired end,
                 hold_desired = case when hold is null then null else 'running' end,
                 generation = generation + 1, run_generation = generation + 1, look_at = $2,
                 attempt = 0
             where id = $1 and desired <> 'deleted' and deleted_at is null",
            open.database.id.uuid(),
            now
        )
        .execute(tx.connection())
        .await?;
    }
    if open.is_made {
        sqlx::query!(
            "update databases
             set desired = 'deleted', generation = generation + 1,
                 run_generation = generation + 1, look_at = $2, attempt = 0
             where id = $1 and deleted_at is null",
            open.kept.id.uuid(),
            now
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Has both change instances, with all that belongs to an instance: its archive and what is made of
/// that, what was observed of it, its logical databases. Both must be at rest and locked, and have
/// the same roles. The database runs from then on, under a generation that neither node has heard of.
pub async fn exchange(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let (database, kept) = (open.database.id.uuid(), open.kept.id.uuid());
    let generation = open.database.generation.max(open.kept.generation) + 1;
    sqlx::query!(
        "set constraints databases_instance, archives_database_id_key, restores_pkey,
             logical_databases_database_id_name_key deferred"
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update databases d
         set instance_id = o.instance_id, engine_version = o.engine_version,
             observed = o.observed, observed_generation = o.observed_generation,
             observed_at = o.observed_at, error = o.error, incarnation_id = o.incarnation_id,
             node_address = o.node_address, system_identifier = o.system_identifier,
             engine_minor = o.engine_minor, connections = o.connections,
             storage_bytes = o.storage_bytes, idle_since = o.idle_since,
             desired = case d.id when $1 then 'running' else 'asleep' end,
             generation = $3, run_generation = $3, lease_owner = null, lease_until = null,
             attempt = 0, look_at = $4
         from databases o
         where d.id in ($1, $2) and o.id in ($1, $2) and o.id <> d.id",
        database,
        kept,
        generation,
        now
    )
    .execute(tx.connection())
    .await?;
    exchange_archives(tx, database, kept, now).await?;
    sqlx::query!(
        "update logical_databases l
         set database_id = way.there,
             owner_role_id = (select r.id from database_roles r
                              where r.database_id = way.there and (r.name = was.name or r.is_owner)
                              order by r.name = was.name desc limit 1)
         from database_roles was, (values ($1::uuid, $2::uuid), ($2, $1)) as way (here, there)
         where was.id = l.owner_role_id and l.database_id = way.here",
        database,
        kept
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update in_place_restores set phase = 'done', ended_at = $2 where operation_id = $1",
        open.operation_id.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    // From here on it ends as any other: when the database runs as it shall.
    sqlx::query!(
        "update operations set generation = $2, deadline_at = greatest(deadline_at, $3)
         where id = $1",
        open.operation_id.uuid(),
        generation,
        now + START_LIMIT
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Time that a database has to run after the exchange before its operation has failed.
const START_LIMIT: time::Duration = time::Duration::minutes(5);

async fn exchange_archives(
    tx: &mut RegionTx,
    database: Uuid,
    kept: Uuid,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update archives
         set database_id = case database_id when $1 then $2 else $1 end,
             -- Nothing of it can be restored before the first.
             backup_due_at = case windows when '[]' then least(backup_due_at, $3)
                                          else backup_due_at end
         where database_id in ($1, $2)",
        database,
        kept,
        now
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update backups b set database_id = a.database_id from archives a
         where a.id = b.archive_id and a.database_id in ($1, $2)",
        database,
        kept
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update restore_points p set database_id = a.database_id from archives a
         where a.id = p.archive_id and a.database_id in ($1, $2)",
        database,
        kept
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update drills l set database_id = a.database_id from archives a
         where a.id = l.archive_id and a.database_id in ($1, $2)",
        database,
        kept
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update restores set database_id = case database_id when $1 then $2 else $1 end
         where database_id in ($1, $2)",
        database,
        kept
    )
    .execute(tx.connection())
    .await?;
    // What was restored from an archive names whose that is.
    sqlx::query!(
        "update restores r set source_database_id = a.database_id from archives a
         where a.id = r.source_archive_id and a.database_id in ($1, $2)",
        database,
        kept
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The roles of a database.
pub async fn roles(tx: &mut RegionTx, database: DatabaseId) -> Result<Vec<RoleRow>, StoreError> {
    let rows = sqlx::query_as!(
        RoleRow,
        r#"select id as "id: RoleId", name as "name: PgName", is_owner, verifier,
                  password_sealed, created_at, password_changed_at
           from database_roles where database_id = $1 order by id"#,
        database.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Gives the kept one a role as the database has it; `id` is its role of this name, or a new one.
pub async fn role_put(
    tx: &mut RegionTx,
    open: &OpenInPlace,
    id: RoleId,
    like: &RoleRow,
    password: &StoredPassword<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into database_roles (id, organization_id, database_id, name, verifier,
             password_sealed, is_owner, created_at, password_changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (database_id, name) do update
         set verifier = excluded.verifier, password_sealed = excluded.password_sealed,
             is_owner = excluded.is_owner, password_changed_at = excluded.password_changed_at",
        id.uuid(),
        open.organization_id.uuid(),
        open.kept.id.uuid(),
        like.name.as_str(),
        password.verifier,
        password.sealed,
        like.is_owner,
        like.created_at,
        like.password_changed_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Removes the roles of the kept one that the database does not have.
pub async fn roles_prune(tx: &mut RegionTx, open: &OpenInPlace) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from database_roles r where r.database_id = $2
           and not exists (select from database_roles o
                           where o.database_id = $1 and o.name = r.name)",
        open.database.id.uuid(),
        open.kept.id.uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
