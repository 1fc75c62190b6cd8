//! Closing a period: which ones are due, what was billed for one, and what came late.

use crate::app::usage::Front;
use crate::store::usage::Counted;
use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_billing::rating::Line;
use lumadb_contract::id::{DatabaseId, InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use sqlx::types::Json;
use time::{Date, OffsetDateTime};

/// Organizations whose open period begins before `running`, the first day of the running one, and
/// whose usage of it is complete, or will not be waited for: it ended before `patience_ended`.
pub async fn due(
    tx: &mut RegionTx,
    running: Date,
    patience_ended: OffsetDateTime,
    limit: i64,
) -> Result<Vec<OrganizationId>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"select c.organization_id as "id: OrganizationId"
           from billing_customers c,
                lateral (select ((c.open_period + interval '1 month') at time zone 'UTC') as at) e
           where c.open_period < $1
             and (e.at <= $2
                  or not exists(
                         select from usage_fronts f join databases d on d.instance_id = f.database_id
                         where f.organization_id = c.organization_id and f.at < e.at and not f.held
                           and d.deleted_at is null)
                     and not exists(
                         select from compute_spans s
                         where s.organization_id = c.organization_id and s.started_at < e.at
                           and s.ended_at is null and s.seen_at < e.at))
           order by c.open_period, c.organization_id limit $3"#,
        running,
        patience_ended,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Has usage of this organization's databases be taken in before or after this transaction, not
/// beside it.
pub async fn usage_lock(tx: &mut RegionTx, organization: OrganizationId) -> Result<(), StoreError> {
    sqlx::query!(
        r#"select pg_advisory_xact_lock(hashtextextended(id::text, 0))::text as lock
           from (select id from databases where organization_id = $1 order by id) d"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(())
}

/// Databases that sleep and whose stored bytes are folded up to before `until`.
pub async fn held_before(
    tx: &mut RegionTx,
    organization: OrganizationId,
    until: OffsetDateTime,
) -> Result<Vec<(Counted, Front)>, StoreError> {
    let rows = sqlx::query!(
        r#"select d.id as "database: DatabaseId", d.instance_id as "instance: DatabaseId", f.at,
                  f.storage_bytes
           from usage_fronts f join databases d on d.instance_id = f.database_id
           where f.organization_id = $1 and f.held and f.at < $2"#,
        organization.uuid(),
        until
    )
    .fetch_all(tx.connection())
    .await?;
    rows.into_iter()
        .map(|row| {
            let front = Front {
                at: row.at,
                storage_bytes: u64::try_from(row.storage_bytes)
                    .map_err(|_| StoreError::Corrupt("a front below zero".into()))?,
                held: true,
            };
            let by = Counted {
                organization,
                database: row.database,
                instance: row.instance,
            };
            Ok((by, front))
        })
        .collect()
}

/// Notes that a period is closed and which one is open now. The customer's row must be locked.
pub async fn record(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    period: Date,
    next: Date,
    invoice: InvoiceId,
    spend_cap: Option<Cents>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into period_closings (organization_id, period, invoice_id, spend_cap_cents,
             closed_at)
         values ($1, $2, $3, $4, $5)",
        organization.uuid(),
        period,
        invoice.uuid(),
        spend_cap.map(Cents::get),
        now
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "update billing_customers set open_period = $3 where organization_id = $1 and open_period = $2",
        organization.uuid(),
        period,
        next
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "delete from late_usage where organization_id = $1 and period < $2",
        organization.uuid(),
        period
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Closed periods for which usage came after, each with the spend cap that it was rated with.
pub async fn late(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<(Date, Option<Cents>)>, StoreError> {
    let rows = sqlx::query!(
        r#"select p.period, p.spend_cap_cents as "spend_cap: Cents"
           from late_usage l join period_closings p using (organization_id, period)
           where l.organization_id = $1 order by p.period"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.period, row.spend_cap)).collect())
}

/// Notes those of these periods that are closed as having late usage.
pub async fn late_mark(
    tx: &mut RegionTx,
    organization: OrganizationId,
    periods: &[Date],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into late_usage (organization_id, period)
         select c.organization_id, p.period
         from billing_customers c, unnest($2::date[]) as p(period)
         where c.organization_id = $1 and p.period < c.open_period
         on conflict do nothing",
        organization.uuid(),
        periods
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The lines of the invoice that closed a period, and every correction of it so far.
pub async fn billed(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    period: Date,
) -> Result<Vec<Line>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"select l.line as "line: Json<Line>"
           from invoice_lines l join invoices i on i.id = l.invoice_id
           where l.organization_id = $1
             and (l.corrects = $2 or i.kind = 'period' and i.period = $2 and l.corrects is null)
           order by i.id, l.position"#,
        organization.uuid(),
        period
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|Json(line)| line).collect())
}
