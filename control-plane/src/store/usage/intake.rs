//! What nodes counted and the runtime granted, as it is taken in.

use super::unsigned;
use crate::app::usage::{Folded, Front, Mark};
use crate::runtime::ComputeSpan;
use crate::store::{RegionTx, StoreError};
use lumadb_contract::id::{DatabaseId, IncarnationId, OrganizationId};
use lumadb_contract::usage::UsageCounters;
use time::{Date, Duration, OffsetDateTime};

/// Whose an instance is.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub organization: OrganizationId,
    pub database: DatabaseId,
    /// How far billing's time is ahead of the clock.
    pub ahead: Duration,
}

/// Who pays for an instance. Usage of one is taken in one transaction after the other: an advisory
/// lock, for which nothing else waits.
pub async fn owner_lock(
    tx: &mut RegionTx,
    instance: DatabaseId,
) -> Result<Option<Owner>, StoreError> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($1::text, 0))::text as lock",
        instance.uuid().to_string()
    )
    .fetch_one(tx.connection())
    .await?;
    // A statement of its own: it sees what whoever held the lock before has written.
    let row = sqlx::query!(
        r#"select organization_id as "organization: OrganizationId", id as "database: DatabaseId",
                  ahead_us
           from databases, billing_clock where instance_id = $1"#,
        instance.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Owner {
        organization: row.organization,
        database: row.database,
        ahead: Duration::microseconds(row.ahead_us),
    }))
}

/// What is known of an incarnation.
#[derive(Debug, Clone, Copy)]
pub struct KnownIncarnation {
    pub instance: DatabaseId,
    /// Whose the instance was then: two that change places are at rest, so that an incarnation
    /// counts for one database.
    pub database: DatabaseId,
    /// The last sample of it that is stored.
    pub mark: Mark,
}

pub async fn incarnation(
    tx: &mut RegionTx,
    incarnation: IncarnationId,
) -> Result<Option<KnownIncarnation>, StoreError> {
    let row = sqlx::query!(
        r#"select database_id as "database: DatabaseId",
                  coalesce(instance_id, database_id) as "instance!: DatabaseId", last_sequence,
                  requests, errors,
                  transfer_out_bytes, vector_operations, connections_opened
           from usage_incarnations where incarnation_id = $1 for update"#,
        incarnation.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    row.map(|row| {
        Ok(KnownIncarnation {
            instance: row.instance,
            database: row.database,
            mark: Mark {
                sequence: unsigned(row.last_sequence)?,
                counters: UsageCounters {
                    requests: unsigned(row.requests)?,
                    errors: unsigned(row.errors)?,
                    transfer_out_bytes: unsigned(row.transfer_out_bytes)?,
                    vector_operations: unsigned(row.vector_operations)?,
                    connections_opened: unsigned(row.connections_opened)?,
                },
            },
        })
    })
    .transpose()
}

/// How far an instance's stored bytes are folded.
pub async fn front(tx: &mut RegionTx, instance: DatabaseId) -> Result<Option<Front>, StoreError> {
    let row = sqlx::query!(
        "select at, storage_bytes, held from usage_fronts where database_id = $1",
        instance.uuid()
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

/// Who counted, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub organization: OrganizationId,
    pub database: DatabaseId,
    pub instance: DatabaseId,
}

/// Writes what a batch came to: samples, the incarnation's mark, the front, the hours, and the
/// sizes that the database shows.
pub async fn store(
    tx: &mut RegionTx,
    by: Counted,
    incarnation: IncarnationId,
    folded: &Folded,
    received_at: OffsetDateTime,
) -> Result<(), StoreError> {
    store_samples(tx, by.organization, by.database, folded, received_at).await?;
    store_mark(tx, by, incarnation, folded).await?;
    store_folded(tx, by, folded).await?;
    if let Some(last) = folded.fresh.last() {
        let connections = i32::try_from(last.gauges.connections).unwrap_or(i32::MAX);
        sqlx::query!(
            "update databases set connections = $2, storage_bytes = $3
             where instance_id = $1 and (connections, storage_bytes) is distinct from ($2, $3)",
            by.instance.uuid(),
            connections,
            signed(last.gauges.storage_bytes)?
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// Adds to the hours and moves the front.
pub async fn store_folded(
    tx: &mut RegionTx,
    by: Counted,
    folded: &Folded,
) -> Result<(), StoreError> {
    store_hours(tx, by.organization, by.database, folded).await?;
    if let Some(front) = folded.front {
        sqlx::query!(
            "insert into usage_fronts (database_id, organization_id, at, storage_bytes, held)
             values ($1, $2, $3, $4, $5)
             on conflict (database_id) do update
             set at = excluded.at, storage_bytes = excluded.storage_bytes, held = excluded.held",
            by.instance.uuid(),
            by.organization.uuid(),
            front.at,
            signed(front.storage_bytes)?,
            front.held
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

async fn store_samples(
    tx: &mut RegionTx,
    organization: OrganizationId,
    database: DatabaseId,
    folded: &Folded,
    received_at: OffsetDateTime,
) -> Result<(), StoreError> {
    let count = folded.fresh.len();
    let mut columns: [Vec<i64>; 7] = std::array::from_fn(|_| Vec::with_capacity(count));
    let (mut incarnations, mut taken, mut connections) = (Vec::new(), Vec::new(), Vec::new());
    for sample in &folded.fresh {
        let values = [
            sample.sequence,
            sample.counters.requests,
            sample.counters.errors,
            sample.counters.transfer_out_bytes,
            sample.counters.vector_operations,
            sample.counters.connections_opened,
            sample.gauges.storage_bytes,
        ];
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(signed(value)?);
        }
        incarnations.push(sample.incarnation_id.uuid());
        taken.push(sample.taken_at);
        connections.push(i32::try_from(sample.gauges.connections).unwrap_or(i32::MAX));
    }
    let [
        sequence,
        requests,
        errors,
        transfer,
        vectors,
        opened,
        storage,
    ] = &columns;
    sqlx::query!(
        "insert into usage_samples (organization_id, database_id, received_at, incarnation_id,
             sequence, taken_at, requests, errors, transfer_out_bytes, vector_operations,
             connections_opened, storage_bytes, connections)
         select $1, $2, $3, * from unnest($4::uuid[], $5::bigint[], $6::timestamptz[],
             $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
             $12::bigint[], $13::int[])",
        organization.uuid(),
        database.uuid(),
        received_at,
        &incarnations,
        sequence,
        &taken,
        requests,
        errors,
        transfer,
        vectors,
        opened,
        storage,
        &connections
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn store_mark(
    tx: &mut RegionTx,
    by: Counted,
    incarnation: IncarnationId,
    folded: &Folded,
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (folded.fresh.first(), folded.fresh.last()) else {
        return Ok(());
    };
    sqlx::query!(
        "insert into usage_incarnations as known (incarnation_id, organization_id, database_id,
             first_taken_at, last_taken_at, last_sequence, gaps, requests, errors,
             transfer_out_bytes, vector_operations, connections_opened, instance_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (incarnation_id) do update
         set last_taken_at = excluded.last_taken_at, last_sequence = excluded.last_sequence,
             gaps = known.gaps + excluded.gaps, requests = excluded.requests,
             errors = excluded.errors, transfer_out_bytes = excluded.transfer_out_bytes,
             vector_operations = excluded.vector_operations,
             connections_opened = excluded.connections_opened",
        incarnation.uuid(),
        by.organization.uuid(),
        by.database.uuid(),
        first.taken_at,
        last.taken_at,
        signed(last.sequence)?,
        signed(folded.gaps)?,
        signed(last.counters.requests)?,
        signed(last.counters.errors)?,
        signed(last.counters.transfer_out_bytes)?,
        signed(last.counters.vector_operations)?,
        signed(last.counters.connections_opened)?,
        by.instance.uuid()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn store_hours(
    tx: &mut RegionTx,
    organization: OrganizationId,
    database: DatabaseId,
    folded: &Folded,
) -> Result<(), StoreError> {
    for (start, hour) in &folded.hours {
        sqlx::query!(
            "insert into usage_hours as known (database_id, organization_id, starts_at, requests,
                 errors, transfer_out_bytes, vector_operations, connections_opened,
                 storage_byte_us)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric)
             on conflict (database_id, starts_at) do update
             set requests = known.requests + excluded.requests,
                 errors = known.errors + excluded.errors,
                 transfer_out_bytes = known.transfer_out_bytes + excluded.transfer_out_bytes,
                 vector_operations = known.vector_operations + excluded.vector_operations,
                 connections_opened = known.connections_opened + excluded.connections_opened,
                 storage_byte_us = known.storage_byte_us + excluded.storage_byte_us",
            database.uuid(),
            organization.uuid(),
            start,
            signed(hour.counters.requests)?,
            signed(hour.counters.errors)?,
            signed(hour.counters.transfer_out_bytes)?,
            signed(hour.counters.vector_operations)?,
            signed(hour.counters.connections_opened)?,
            hour.storage_byte_us.to_string()
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

/// By what a span grew.
#[derive(Debug, Clone, Copy)]
pub struct Grown {
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
    /// Start of the first period that is not closed: the span has nothing to do with what lies
    /// before, if it grew behind it.
    pub open_from: OffsetDateTime,
}

/// Writes a span or moves its end; an end that is written stays. It is known again by its start as
/// the runtime says it, and kept in billing's time. The instance must be locked by [`owner_lock`].
pub async fn record_span(
    tx: &mut RegionTx,
    span: ComputeSpan,
    milli_vcpu: i32,
) -> Result<Grown, StoreError> {
    let before = sqlx::query_scalar!(
        r#"select coalesce(ended_at, seen_at) as "end!" from compute_spans
           where incarnation_id = $1 and reported_at = $2"#,
        span.incarnation_id.uuid(),
        span.started_at
    )
    .fetch_optional(tx.connection())
    .await?;
    let row = sqlx::query!(
        r#"insert into compute_spans (database_id, organization_id, incarnation_id, reported_at,
                                      started_at, ended_at, seen_at, milli_vcpu)
           select coalesce((select i.database_id from usage_incarnations i
                            where i.incarnation_id = $2), id),
                  organization_id, $2, $3, $3::timestamptz + ahead, $4::timestamptz + ahead,
                  $5::timestamptz + ahead, $6
           from databases, (select ahead_us * interval '1 microsecond' as ahead from billing_clock) b
           where instance_id = $1
           on conflict (incarnation_id, reported_at) do update
           set ended_at = coalesce(compute_spans.ended_at, excluded.ended_at),
               seen_at = greatest(compute_spans.seen_at, excluded.seen_at)
           returning started_at, coalesce(ended_at, seen_at) as "end!",
                     (select open_period from billing_customers c
                      where c.organization_id = compute_spans.organization_id) as "open_period!""#,
        span.database_id.uuid(),
        span.incarnation_id.uuid(),
        span.started_at,
        span.ended_at,
        span.seen_at,
        milli_vcpu
    )
    .fetch_one(tx.connection())
    .await?;
    let open_from = row.open_period.midnight().assume_utc();
    Ok(Grown {
        from: before.unwrap_or(row.started_at),
        to: row.end.min(open_from),
        open_from,
    })
}

/// Forgets the samples of the days (UTC) before `keep_from`, and makes room for those up to
/// `ready_until`. The number of days that were forgotten.
pub async fn samples_keep(
    tx: &mut RegionTx,
    keep_from: Date,
    ready_until: Date,
) -> Result<i32, StoreError> {
    let dropped = sqlx::query_scalar!(
        r#"select usage_samples_keep($1, $2) as "dropped!""#,
        keep_from,
        ready_until
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(dropped)
}

fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is too large")))
}
