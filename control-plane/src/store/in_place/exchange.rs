//! The exchange: two databases change instances, and what belongs to those.

use super::OpenInPlace;
use crate::store::{RegionTx, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

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
