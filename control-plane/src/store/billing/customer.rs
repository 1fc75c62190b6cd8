//! Organizations as those who pay.

use crate::app::billing::{Address, CollectionMode, Standing};
use crate::store::{EitherTx, IdentityTx, RegionTx, StoreError};
use lumadb_billing::invoice::Tax;
use lumadb_contract::id::OrganizationId;
use lumadb_contract::money::Cents;
use sqlx::types::Json;
use time::{Date, OffsetDateTime};

#[derive(Debug, Clone)]
pub struct CustomerRow {
    pub organization_id: OrganizationId,
    /// What the organization is called.
    pub organization_name: String,
    pub plan_id: String,
    pub collection: CollectionMode,
    /// As invoices name it; `None`: as it is called.
    pub name: Option<String>,
    /// Where invoices are sent; `None`: to its owners.
    pub email: Option<String>,
    pub address: Json<Address>,
    pub tax_id: Option<String>,
    pub tax: Json<Tax>,
    pub spend_cap_cents: Option<Cents>,
    pub budgets_cents: Vec<i64>,
    pub standing: Standing,
    pub standing_since: OffsetDateTime,
    /// First day of the first period that is not closed.
    pub open_period: Date,
    pub revision: i64,
}

/// What a caller may change of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerChange {
    pub name: Option<String>,
    pub email: Option<String>,
    pub address: Address,
    pub tax_id: Option<String>,
    pub spend_cap_cents: Option<Cents>,
    pub budgets_cents: Vec<i64>,
}

/// Adds what a new organization pays as.
pub async fn insert_as_identity(
    tx: &mut IdentityTx,
    organization: OrganizationId,
    collection: CollectionMode,
    open_period: Date,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into billing_customers (organization_id, collection, standing_since, open_period)
         values ($1, $2, $3, $4)",
        organization.uuid(),
        collection.as_str(),
        now,
        open_period
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub async fn find(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Option<CustomerRow>, StoreError> {
    let row = sqlx::query_as!(
        CustomerRow,
        r#"select c.organization_id as "organization_id: OrganizationId",
                  o.name as organization_name, o.plan_id,
                  c.collection as "collection: CollectionMode", c.name, c.email,
                  c.address as "address: Json<Address>", c.tax_id, c.tax as "tax: Json<Tax>",
                  c.spend_cap_cents as "spend_cap_cents: Cents", c.budgets_cents,
                  c.standing as "standing: Standing", c.standing_since, c.open_period, c.revision
           from billing_customers c join organizations o on o.id = c.organization_id
           where c.organization_id = $1"#,
        organization.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row)
}

/// As [`find`], and everything else that changes this organization's billing waits for the end of
/// the transaction.
pub async fn lock(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Option<CustomerRow>, StoreError> {
    sqlx::query!(
        "select revision from billing_customers where organization_id = $1 for update",
        organization.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    find(tx, organization).await
}

/// Writes what a caller changed. The row must be locked.
pub async fn change(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    to: &CustomerChange,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update billing_customers
         set name = $2, email = $3, address = $4, tax_id = $5, spend_cap_cents = $6,
             budgets_cents = $7, revision = revision + 1
         where organization_id = $1",
        organization.uuid(),
        to.name,
        to.email,
        Json(&to.address) as _,
        to.tax_id,
        to.spend_cap_cents.map(Cents::get),
        &to.budgets_cents
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Writes how an organization stands. The row must be locked.
pub async fn standing_change(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    standing: Standing,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update billing_customers set standing = $2, standing_since = $3 where organization_id = $1",
        organization.uuid(),
        standing.as_str(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Address and name of each owner.
pub async fn owners(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = sqlx::query!(
        "select u.email, u.display_name
         from memberships m join users u on u.id = m.user_id
         where m.organization_id = $1 and m.role = 'owner' order by u.id",
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.email, row.display_name)).collect())
}

/// Writes what only the platform's owner may say. The row must be locked.
pub async fn owner_change(
    tx: &mut RegionTx,
    organization: OrganizationId,
    tax: &Tax,
    collection: CollectionMode,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update billing_customers set tax = $2, collection = $3, revision = revision + 1
         where organization_id = $1",
        organization.uuid(),
        Json(tax) as _,
        collection.as_str()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
