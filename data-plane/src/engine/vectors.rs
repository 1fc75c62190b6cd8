//! Vector operations, as the engine's cumulative statistics know them.

use super::admin::{AdminError, AdminSession, PLATFORM_DATABASE};
use super::instance_dir::InstanceDir;
use std::collections::BTreeMap;

/// Scans of each vector index, and rows written into each table with a column of vectors (also of a
/// domain over them). Both are of one logical database; `pgvector`'s types are found by their
/// extension, whatever a tenant calls its own.
const COUNTS: &str = "
    with vectors as (
        select d.objid as type
        from pg_extension e
        join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid
                        and d.classid = 'pg_type'::regclass
        where e.extname = 'vector'
    )
    select 'index ' || c.oid, pg_stat_get_numscans(c.oid)
    from pg_class c join pg_am m on m.oid = c.relam
    where c.relkind = 'i' and m.amname in ('hnsw', 'ivfflat')
    union all
    select 'table ' || c.oid,
           pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid)
    from pg_class c
    where c.relkind = 'r' and exists (
        select from pg_attribute a join pg_type t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and (t.oid in (select type from vectors) or t.typbasetype in (select type from vectors)))";

/// By logical database, then by index or table. A database that cannot be asked is not there.
pub type VectorCounts = BTreeMap<String, BTreeMap<String, u64>>;

/// Asks every logical database of the tenant's.
pub async fn vector_counts(instance: &InstanceDir) -> Result<VectorCounts, AdminError> {
    let socket = instance.engine_socket();
    let session = AdminSession::open(instance).await?;
    let sql = "select oid, datname from pg_database where datallowconn and not datistemplate";
    let databases = session.rows("reading the databases", sql).await?;
    let mut counts = VectorCounts::new();
    for database in databases {
        let (Some(oid), Some(name)) = (database.get(0), database.get(1)) else {
            continue;
        };
        if name == PLATFORM_DATABASE {
            continue;
        }
        match counts_in(&socket, name).await {
            Ok(read) => {
                counts.insert(oid.to_owned(), read);
            }
            Err(error) => tracing::debug!(%error, "vector operations are counted later"),
        }
    }
    Ok(counts)
}

async fn counts_in(
    socket: &std::path::Path,
    database: &str,
) -> Result<BTreeMap<String, u64>, AdminError> {
    let session = AdminSession::open_in(socket, database).await?;
    let rows = session.rows("reading vector statistics", COUNTS).await?;
    let counts = rows.iter().filter_map(|row| {
        let count = row.get(1)?.parse().ok()?;
        Some((row.get(0)?.to_owned(), count))
    });
    Ok(counts.collect())
}
