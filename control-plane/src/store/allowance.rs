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

/// An amount of each meter that nodes are given room for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amounts {
    requests: u64,
    transfer_out_bytes: u64,
    vector_operations: u64,
}

impl Amounts {
    /// Nothing of what nodes are given no room for.
    pub const fn of(self, meter: Meter) -> u64 {
        match meter {
            Meter::Requests => self.requests,
            Meter::TransferOut => self.transfer_out_bytes,
            Meter::VectorOperations => self.vector_operations,
            Meter::Storage | Meter::Compute => 0,
        }
    }

    fn parse(
        requests: &str,
        transfer_out_bytes: &str,
        vector_operations: &str,
    ) -> Result<Self, StoreError> {
        let parse = |text: &str| {
            let parsed = text.parse();
            parsed.map_err(|_| StoreError::Corrupt("the usage of an organization".into()))
        };
        Ok(Self {
            requests: parse(requests)?,
            transfer_out_bytes: parse(transfer_out_bytes)?,
            vector_operations: parse(vector_operations)?,
        })
    }
}

/// Who asks for room, and when. Limits of requests began at `day`, the others at `month`.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    pub organization: OrganizationId,
    pub database: DatabaseId,
    pub incarnation: IncarnationId,
    pub day: OffsetDateTime,
    pub month: OffsetDateTime,
    pub now: OffsetDateTime,
}

/// How an organization stands at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Stood {
    /// Folded since the limits began, of every database.
    pub used: Amounts,
    /// What of the asking incarnation is folded, in all.
    pub marked: Amounts,
    /// What other databases may count beyond what of them is folded. One that does not run holds
    /// nothing.
    pub others: Amounts,
}

/// In one statement: what is folded meanwhile is in all of the sums or in none.
pub async fn stood(tx: &mut RegionTx, asker: &Asker) -> Result<Stood, StoreError> {
    let row = sqlx::query!(
        r#"with used as (
               select coalesce(sum(requests) filter (where starts_at >= $4), 0)::text as requests,
                      coalesce(sum(transfer_out_bytes), 0)::text as transfer_out_bytes,
                      coalesce(sum(vector_operations), 0)::text as vector_operations
               from usage_hours where organization_id = $1 and starts_at >= $5
           ), marked as (
               select coalesce(sum(requests), 0)::text as requests,
                      coalesce(sum(transfer_out_bytes), 0)::text as transfer_out_bytes,
                      coalesce(sum(vector_operations), 0)::text as vector_operations
               from usage_incarnations where incarnation_id = $3 and database_id = $2
           ), held as (
               select a.meter, greatest(a.ceiling - coalesce(case a.meter
                          when 'requests' then i.requests
                          when 'transfer_out' then i.transfer_out_bytes
                          else i.vector_operations end, 0), 0) as room
               from allowances a
               join databases d on d.id = a.database_id and d.deleted_at is null
                               and d.desired = 'running'
               left join usage_incarnations i on i.incarnation_id = a.incarnation_id
               where a.organization_id = $1 and a.database_id <> $2 and a.expires_at > $6
                 and a.window_starts_at = case a.meter when 'requests' then $4 else $5 end
           ), others as (
               select coalesce(sum(room) filter (where meter = 'requests'), 0)::text as requests,
                      coalesce(sum(room) filter (where meter = 'transfer_out'), 0)::text
                          as transfer_out_bytes,
                      coalesce(sum(room) filter (where meter = 'vector_operations'), 0)::text
                          as vector_operations
               from held
           )
           select used.requests as "used_requests!",
                  used.transfer_out_bytes as "used_transfer_out_bytes!",
                  used.vector_operations as "used_vector_operations!",
                  marked.requests as "marked_requests!",
                  marked.transfer_out_bytes as "marked_transfer_out_bytes!",
                  marked.vector_operations as "marked_vector_operations!",
                  others.requests as "others_requests!",
                  others.transfer_out_bytes as "others_transfer_out_bytes!",
                  others.vector_operations as "others_vector_operations!"
           from used cross join marked cross join others"#,
        asker.organization.uuid(),
        asker.database.uuid(),
        asker.incarnation.uuid(),
        asker.day,
        asker.month,
        asker.now
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(Stood {
        used: Amounts::parse(
            &row.used_requests,
            &row.used_transfer_out_bytes,
            &row.used_vector_operations,
        )?,
        marked: Amounts::parse(
            &row.marked_requests,
            &row.marked_transfer_out_bytes,
            &row.marked_vector_operations,
        )?,
        others: Amounts::parse(
            &row.others_requests,
            &row.others_transfer_out_bytes,
            &row.others_vector_operations,
        )?,
    })
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
