//! What stands in documents and exports beside an invoice's own rows.

use crate::store::{EitherTx, StoreError, TenantTx};
use lumadb_contract::id::{DatabaseId, InvoiceId, OrganizationId, ProjectId};
use lumadb_contract::money::Cents;
use time::{Date, OffsetDateTime};

/// A database as documents name it, deleted or not.
#[derive(Debug, Clone)]
pub struct ResourceRow {
    pub id: DatabaseId,
    pub name: String,
    pub region: String,
    pub region_name: String,
    pub project_id: ProjectId,
    pub project_name: String,
}

/// Every database that the organization ever had, the oldest first.
pub async fn resources(tx: &mut TenantTx) -> Result<Vec<ResourceRow>, StoreError> {
    let organization = tx.organization();
    let rows = sqlx::query_as!(
        ResourceRow,
        r#"select d.id as "id: DatabaseId", d.name, d.region, r.display_name as region_name,
                  d.project_id as "project_id: ProjectId", p.name as project_name
           from databases d
           join regions r on r.name = d.region
           join projects p on p.id = d.project_id
           where d.organization_id = $1 order by d.id"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// What each database that the organization ever had is called.
pub async fn database_names(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<(DatabaseId, String)>, StoreError> {
    let rows = sqlx::query!(
        r#"select id as "id: DatabaseId", name from databases where organization_id = $1"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Money that came in for an invoice; below zero, that went back.
#[derive(Debug, Clone)]
pub struct MoneyRow {
    /// `payment/…` or `refund/…`.
    pub key: String,
    pub at: OffsetDateTime,
    pub cents: Cents,
}

pub async fn money(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    invoice: InvoiceId,
) -> Result<Vec<MoneyRow>, StoreError> {
    let rows = sqlx::query_as!(
        MoneyRow,
        r#"select key, at, cash_cents as "cents: Cents" from ledger_entries
           where organization_id = $1 and invoice_id = $2 and cash_cents <> 0 order by sequence"#,
        organization.uuid(),
        invoice.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// The invoices of a month that is named by its first day, in the order of their numbers.
pub async fn of_period(tx: &mut TenantTx, period: Date) -> Result<Vec<InvoiceId>, StoreError> {
    let organization = tx.organization();
    let ids = sqlx::query_scalar!(
        r#"select id as "id: InvoiceId" from invoices
           where organization_id = $1 and period = $2 and state <> 'void' order by id"#,
        organization.uuid(),
        period
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(ids)
}
