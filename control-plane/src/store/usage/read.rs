//! Usage as it is shown and rated.

use super::unsigned;
use crate::app::usage::{Front, LOOK_BACK};
use crate::store::{StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use time::OffsetDateTime;

/// Usage of one hour, as it is folded.
#[derive(Debug, Clone)]
pub struct HourRow {
    pub starts_at: OffsetDateTime,
    pub requests: u64,
    pub errors: u64,
    pub transfer_out_bytes: u64,
    pub vector_operations: u64,
    pub storage_byte_us: u128,
}

/// A span of granted compute.
#[derive(Debug, Clone)]
pub struct SpanRow {
    pub started_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
    pub seen_at: OffsetDateTime,
    /// Thousandths of a vCPU.
    pub milli_vcpu: u32,
}

/// A sample of those that a chart needs.
#[derive(Debug, Clone)]
pub struct PointRow {
    pub incarnation_id: IncarnationId,
    pub taken_at: OffsetDateTime,
    pub requests: i64,
    pub errors: i64,
    pub transfer_out_bytes: i64,
    pub storage_bytes: i64,
    pub connections: i32,
    /// Whether its incarnation began in the range that was read.
    pub is_new: bool,
}

/// Hours that start in `from..to`.
pub async fn hours(
    tx: &mut TenantTx,
    database: DatabaseId,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<HourRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query!(
        r#"select starts_at, requests, errors, transfer_out_bytes, vector_operations,
                  storage_byte_us::text as "storage_byte_us!"
           from usage_hours
           where organization_id = $1 and database_id = $2 and starts_at >= $3 and starts_at < $4
           order by starts_at"#,
        organization.uuid(),
        database.uuid(),
        from,
        to
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(HourRow {
                starts_at: row.starts_at,
                requests: unsigned(row.requests)?,
                errors: unsigned(row.errors)?,
                transfer_out_bytes: unsigned(row.transfer_out_bytes)?,
                vector_operations: unsigned(row.vector_operations)?,
                storage_byte_us: row
                    .storage_byte_us
                    .parse()
                    .map_err(|_| StoreError::Corrupt("an hour's storage".into()))?,
            })
        })
        .collect()
}

/// Spans of compute that touch `from..to`.
pub async fn spans(
    tx: &mut TenantTx,
    database: DatabaseId,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<SpanRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query!(
        "select started_at, ended_at, seen_at, milli_vcpu from compute_spans
         where organization_id = $1 and database_id = $2 and started_at < $4
           and coalesce(ended_at, seen_at) > $3",
        organization.uuid(),
        database.uuid(),
        from,
        to
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(SpanRow {
                started_at: row.started_at,
                ended_at: row.ended_at,
                seen_at: row.seen_at,
                milli_vcpu: u32::try_from(row.milli_vcpu)
                    .map_err(|_| StoreError::Corrupt("a span's compute".into()))?,
            })
        })
        .collect()
}

/// How far a database's stored bytes are folded, for its organization.
pub async fn tenant_front(
    tx: &mut TenantTx,
    database: DatabaseId,
) -> Result<Option<Front>, StoreError> {
    let organization = tx.organization();
    let row = sqlx::query!(
        "select f.at, f.storage_bytes, f.held
         from usage_fronts f join databases d on d.instance_id = f.database_id
         where f.organization_id = $1 and d.id = $2",
        organization.uuid(),
        database.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| {
        Ok(Front {
            at: row.at,
            storage_bytes: unsigned(row.storage_bytes)?,
            held: row.held,
        })
    })
    .transpose()
}

/// The last sample of each incarnation in each interval from `first` (seconds since 1970) on, and
/// the last ones before it, in order of time.
pub async fn points(
    tx: &mut TenantTx,
    database: DatabaseId,
    first: i64,
    interval_seconds: u32,
) -> Result<Vec<PointRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        PointRow,
        r#"select incarnation_id as "incarnation_id: IncarnationId", taken_at, requests, errors,
                  transfer_out_bytes, storage_bytes, connections,
                  exists(select from usage_incarnations i
                         where i.incarnation_id = last.incarnation_id
                           and i.first_taken_at >= to_timestamp($3::bigint - $5::bigint)
                        ) as "is_new!"
           from (select distinct on (incarnation_id, slot) *
                 from (select *, greatest(
                           floor((extract(epoch from taken_at) - $3::bigint) / $4::bigint), -1
                       ) as slot
                       from usage_samples
                       where organization_id = $1 and database_id = $2
                         and taken_at >= to_timestamp($3::bigint - $5::bigint)) as s
                 order by incarnation_id, slot, sequence desc) as last
           order by taken_at, sequence"#,
        organization.uuid(),
        database.uuid(),
        first,
        i64::from(interval_seconds),
        LOOK_BACK.whole_seconds()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// A sample, with what it added to the one before it.
#[derive(Debug, Clone)]
pub struct SampleRow {
    pub incarnation_id: IncarnationId,
    pub sequence: i64,
    pub taken_at: OffsetDateTime,
    pub received_at: OffsetDateTime,
    pub storage_bytes: i64,
    pub requests: i64,
    pub errors: i64,
    pub transfer_out_bytes: i64,
    pub vector_operations: i64,
}

/// Samples of a database taken in `from..to`, in order, from behind `after` on.
pub async fn samples(
    tx: &mut TenantTx,
    database: DatabaseId,
    from: OffsetDateTime,
    to: OffsetDateTime,
    after: Option<(OffsetDateTime, i64, IncarnationId)>,
    limit: i64,
) -> Result<Vec<SampleRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        SampleRow,
        r#"select s.incarnation_id as "incarnation_id: IncarnationId", s.sequence, s.taken_at,
                  s.received_at, s.storage_bytes,
                  s.requests - coalesce(b.requests, 0) as "requests!",
                  s.errors - coalesce(b.errors, 0) as "errors!",
                  s.transfer_out_bytes - coalesce(b.transfer_out_bytes, 0)
                      as "transfer_out_bytes!",
                  s.vector_operations - coalesce(b.vector_operations, 0) as "vector_operations!"
           from usage_samples s
           left join lateral (
               select requests, errors, transfer_out_bytes, vector_operations
               from usage_samples b
               where b.organization_id = s.organization_id and b.incarnation_id = s.incarnation_id
                 and b.sequence < s.sequence
               order by b.sequence desc limit 1) b on true
           where s.organization_id = $1 and s.database_id = $2
             and s.taken_at >= $3 and s.taken_at < $4
             and ($5::timestamptz is null
                  or (s.taken_at, s.sequence, s.incarnation_id) > ($5, $6, $7))
           order by s.taken_at, s.sequence, s.incarnation_id limit $8"#,
        organization.uuid(),
        database.uuid(),
        from,
        to,
        after.map(|(at, _, _)| at),
        after.map(|(_, sequence, _)| sequence),
        after.map(|(_, _, incarnation)| incarnation.uuid()),
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
