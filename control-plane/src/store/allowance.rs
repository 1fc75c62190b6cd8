//! Room under the limits of organizations: what was used, what nodes hold, what was told.

use super::{RegionTx, StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, IncarnationId, LimitNoticeId, OrganizationId};
use lumadb_contract::meter::Meter;
use time::{Date, OffsetDateTime};

/// Whose an instance is.
#[derive(Debug, Clone)]
pub struct Owner {
    pub database: DatabaseId,
    pub organization: OrganizationId,
    pub plan_id: String,
}

/// The owner of an instance whose database is not deleted. Questions of one organization are answered one
/// after the other.
pub async fn owner_lock(
    tx: &mut RegionTx,
    instance: DatabaseId,
) -> Result<Option<Owner>, StoreError> {
    let row = sqlx::query!(
        r#"select d.id as "database: DatabaseId", o.id as "organization: OrganizationId", o.plan_id,
                  pg_advisory_xact_lock(hashtextextended('allowance ' || o.id::text, 0))::text as lock
           from databases d join organizations o on o.id = d.organization_id
           where d.instance_id = $1 and d.deleted_at is null"#,
        instance.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Owner {
        database: row.database,
        organization: row.organization,
        plan_id: row.plan_id,
    }))
}

/// What was used, as far as it is folded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    requests: u64,
    transfer_out_bytes: u64,
    vector_operations: u64,
}

impl Used {
    /// Nothing of what nodes are given no room for.
    pub const fn of(self, meter: Meter) -> u64 {
        match meter {
            Meter::Requests => self.requests,
            Meter::TransferOut => self.transfer_out_bytes,
            Meter::VectorOperations => self.vector_operations,
            Meter::Storage | Meter::Compute => 0,
        }
    }
}

/// By an organization: requests since `day`, the rest since `month`.
pub async fn used(
    tx: &mut RegionTx,
    organization: OrganizationId,
    day: OffsetDateTime,
    month: OffsetDateTime,
) -> Result<Used, StoreError> {
    let row = sqlx::query!(
        r#"select coalesce(sum(requests) filter (where starts_at >= $2), 0)::text as "requests!",
                  coalesce(sum(transfer_out_bytes), 0)::text as "transfer_out_bytes!",
                  coalesce(sum(vector_operations), 0)::text as "vector_operations!"
           from usage_hours where organization_id = $1 and starts_at >= $3"#,
        organization.uuid(),
        day,
        month
    )
    .fetch_one(tx.connection())
    .await?;
    let sum = |text: &str| {
        text.parse()
            .map_err(|_| StoreError::Corrupt("an organization's usage".into()))
    };
    Ok(Used {
        requests: sum(&row.requests)?,
        transfer_out_bytes: sum(&row.transfer_out_bytes)?,
        vector_operations: sum(&row.vector_operations)?,
    })
}

/// What other databases of an organization hold on a meter, beyond what of it is folded. One that
/// does not run holds nothing.
pub async fn held_by_others(
    tx: &mut RegionTx,
    organization: OrganizationId,
    database: DatabaseId,
    meter: Meter,
    window_starts_at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let sum = sqlx::query_scalar!(
        r#"select coalesce(sum(greatest(a.ceiling - coalesce(case a.meter
                      when 'requests' then i.requests
                      when 'transfer_out' then i.transfer_out_bytes
                      else i.vector_operations end, 0), 0)), 0)::text as "held!"
           from allowances a
           join databases d on d.id = a.database_id and d.deleted_at is null
                           and d.desired = 'running'
           left join usage_incarnations i on i.incarnation_id = a.incarnation_id
           where a.organization_id = $1 and a.database_id <> $2 and a.meter = $3
             and a.window_starts_at = $4 and a.expires_at > $5"#,
        organization.uuid(),
        database.uuid(),
        meter.name(),
        window_starts_at,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    sum.parse()
        .map_err(|_| StoreError::Corrupt("what nodes hold".into()))
}

/// By an incarnation, in all.
pub async fn marked(
    tx: &mut RegionTx,
    incarnation: IncarnationId,
    database: DatabaseId,
) -> Result<Used, StoreError> {
    let row = sqlx::query!(
        "select requests, transfer_out_bytes, vector_operations from usage_incarnations
         where incarnation_id = $1 and database_id = $2",
        incarnation.uuid(),
        database.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    let total = |total: i64| u64::try_from(total).unwrap_or_default();
    Ok(row.map_or_else(Used::default, |row| Used {
        requests: total(row.requests),
        transfer_out_bytes: total(row.transfer_out_bytes),
        vector_operations: total(row.vector_operations),
    }))
}

/// Room that a database was given.
#[derive(Debug, Clone, Copy)]
pub struct Granted {
    pub meter: Meter,
    pub incarnation: IncarnationId,
    pub ceiling: u64,
    pub window_starts_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

pub async fn grant(
    tx: &mut RegionTx,
    organization: OrganizationId,
    database: DatabaseId,
    granted: Granted,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into allowances (database_id, organization_id, meter, incarnation_id, ceiling,
             window_starts_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (database_id, meter) do update
         set incarnation_id = excluded.incarnation_id, ceiling = excluded.ceiling,
             window_starts_at = excluded.window_starts_at, expires_at = excluded.expires_at",
        database.uuid(),
        organization.uuid(),
        granted.meter.name(),
        granted.incarnation.uuid(),
        i64::try_from(granted.ceiling).unwrap_or(i64::MAX),
        granted.window_starts_at,
        granted.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What the other databases of an organization store, bytes, as last told.
pub async fn stored_by_others(
    tx: &mut RegionTx,
    organization: OrganizationId,
    database: DatabaseId,
) -> Result<u64, StoreError> {
    let sum = sqlx::query_scalar!(
        r#"select coalesce(sum(storage_bytes), 0)::text as "bytes!" from databases
           where organization_id = $1 and id <> $2 and deleted_at is null"#,
        organization.uuid(),
        database.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    sum.parse()
        .map_err(|_| StoreError::Corrupt("stored bytes".into()))
}

/// What an organization was told of a limit.
#[derive(Debug, Clone)]
pub struct NoticeRow {
    pub id: LimitNoticeId,
    pub meter: String,
    pub percent: i16,
    pub period: Date,
    pub used: i64,
    pub limit_amount: i64,
    pub created_at: OffsetDateTime,
}

/// Notes that it is told, unless it was in this period. Whether it is new.
pub async fn notice_insert(
    tx: &mut RegionTx,
    organization: OrganizationId,
    notice: &NoticeRow,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "insert into limit_notices (id, organization_id, meter, percent, period, used,
             limit_amount, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (organization_id, period, meter, percent) do nothing",
        notice.id.uuid(),
        organization.uuid(),
        notice.meter,
        notice.percent,
        notice.period,
        notice.used,
        notice.limit_amount,
        notice.created_at
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// What the transaction's organization was told in a period, the newest first.
pub async fn notices(tx: &mut TenantTx, period: Date) -> Result<Vec<NoticeRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        NoticeRow,
        r#"select id as "id: LimitNoticeId", meter, percent, period, used, limit_amount, created_at
           from limit_notices where organization_id = $1 and period = $2 order by id desc"#,
        organization.uuid(),
        period
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
