//! What an organization used, for its bills.

use crate::app::usage::Front;
use crate::store::{EitherTx, StoreError};
use lumadb_billing::rating::{ComputeSpan, UsageHour};
use lumadb_contract::id::{DatabaseId, IncarnationId, OrganizationId, ProjectId};
use time::OffsetDateTime;

/// Which databases: all of the organization, those of a project, or one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which {
    pub project: Option<ProjectId>,
    pub database: Option<DatabaseId>,
}

/// A database, also one that was deleted.
#[derive(Debug, Clone)]
pub struct KnownDatabase {
    pub id: DatabaseId,
    pub project_id: ProjectId,
    pub name: String,
    pub region: String,
    pub milli_vcpu: i32,
    pub storage_bytes: i64,
    pub is_deleted: bool,
    /// Its durability is `s3`.
    pub waits_for_s3: bool,
}

/// An hour, and how many of its requests ended in an error.
#[derive(Debug, Clone, Copy)]
pub struct HourOf {
    pub hour: UsageHour,
    pub errors: u64,
}

/// Hours that start in `from..to`.
pub async fn hours(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    which: Which,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<HourOf>, StoreError> {
    let rows = sqlx::query!(
        r#"select h.database_id as "database: DatabaseId", h.starts_at, h.requests,
                  h.errors, h.transfer_out_bytes, h.vector_operations,
                  h.storage_byte_us::text as "storage_byte_us!"
           from usage_hours h
           where h.organization_id = $1 and h.starts_at >= $2 and h.starts_at < $3
             and ($4::uuid is null or h.database_id = $4)
             and ($5::uuid is null or h.database_id in (
                     select id from databases where project_id = $5))"#,
        organization.uuid(),
        from,
        to,
        which.database.map(DatabaseId::uuid),
        which.project.map(ProjectId::uuid)
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let hour = UsageHour {
                database: row.database,
                starts_at: row.starts_at,
                storage_byte_us: row
                    .storage_byte_us
                    .parse()
                    .map_err(|_| StoreError::Corrupt("an hour's storage".into()))?,
                requests: unsigned(row.requests)?,
                transfer_out_bytes: unsigned(row.transfer_out_bytes)?,
                vector_operations: unsigned(row.vector_operations)?,
            };
            Ok(HourOf {
                hour,
                errors: unsigned(row.errors)?,
            })
        })
        .collect()
}

/// Spans of compute that touch `from..to`. One that lasts ends when it was last seen.
pub async fn spans(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    which: Which,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<ComputeSpan>, StoreError> {
    let rows = sqlx::query!(
        r#"select s.database_id as "database: DatabaseId",
                  s.incarnation_id as "incarnation: IncarnationId", s.started_at,
                  coalesce(s.ended_at, s.seen_at) as "ended_at!", s.milli_vcpu
           from compute_spans s
           where s.organization_id = $1 and s.started_at < $3
             and coalesce(s.ended_at, s.seen_at) > $2
             and ($4::uuid is null or s.database_id = $4)
             and ($5::uuid is null or s.database_id in (
                     select id from databases where project_id = $5))"#,
        organization.uuid(),
        from,
        to,
        which.database.map(DatabaseId::uuid),
        which.project.map(ProjectId::uuid)
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ComputeSpan {
                database: row.database,
                incarnation: row.incarnation,
                started_at: row.started_at,
                ended_at: row.ended_at,
                milli_vcpu: u32::try_from(row.milli_vcpu)
                    .map_err(|_| StoreError::Corrupt("a span's compute".into()))?,
            })
        })
        .collect()
}

/// Databases that sleep, each with how far its stored bytes are folded: what it holds since then
/// is in no hour yet.
pub async fn held(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    which: Which,
) -> Result<Vec<(DatabaseId, Front)>, StoreError> {
    let rows = sqlx::query!(
        r#"select d.id as "database: DatabaseId", f.at, f.storage_bytes
           from usage_fronts f join databases d on d.instance_id = f.database_id
           where f.organization_id = $1 and f.held
             and ($2::uuid is null or d.id = $2) and ($3::uuid is null or d.project_id = $3)"#,
        organization.uuid(),
        which.database.map(DatabaseId::uuid),
        which.project.map(ProjectId::uuid)
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let front = Front {
                at: row.at,
                storage_bytes: unsigned(row.storage_bytes)?,
                held: true,
            };
            Ok((row.database, front))
        })
        .collect()
}

/// Every database that the organization has or had, the oldest first.
pub async fn databases(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<KnownDatabase>, StoreError> {
    let rows = sqlx::query_as!(
        KnownDatabase,
        r#"select id as "id: DatabaseId", project_id as "project_id: ProjectId", name, region, milli_vcpu,
                  storage_bytes, (deleted_at is not null) as "is_deleted!",
                  (durability = 's3') as "waits_for_s3!"
           from databases where organization_id = $1 order by id"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is negative")))
}
