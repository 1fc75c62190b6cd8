//! Credits, and what invoices took of them.

use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_billing::invoice::{Credit, CreditUse};
use lumadb_contract::id::{CreditId, InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;

#[derive(Debug)]
pub struct NewCredit<'a> {
    pub id: CreditId,
    pub organization: OrganizationId,
    pub amount: Cents,
    pub reason: &'a str,
    pub granted_at: OffsetDateTime,
    pub granted_by: &'a str,
    pub expires_at: Option<OffsetDateTime>,
}

pub async fn insert(tx: &mut RegionTx, new: &NewCredit<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into credits (id, organization_id, amount_cents, reason, granted_at, granted_by,
             expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        new.id.uuid(),
        new.organization.uuid(),
        new.amount.get(),
        new.reason,
        new.granted_at,
        new.granted_by,
        new.expires_at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// What is left of each grant. A void invoice took nothing.
pub async fn remaining(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<Credit>, StoreError> {
    let rows = sqlx::query!(
        r#"select c.id as "id: CreditId", c.expires_at,
                  (c.amount_cents - coalesce((
                      select sum(u.amount_cents) from credit_uses u
                      join invoices i on i.id = u.invoice_id and i.state <> 'void'
                      where u.credit_id = c.id), 0))::bigint as "remaining!"
           from credits c where c.organization_id = $1"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    let rows = rows.into_iter().map(|row| Credit {
        id: row.id,
        remaining: Cents::new(row.remaining),
        expires_at: row.expires_at,
    });
    Ok(rows.collect())
}

pub async fn uses_insert(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    invoice: InvoiceId,
    uses: &[CreditUse],
) -> Result<(), StoreError> {
    for used in uses {
        sqlx::query!(
            "insert into credit_uses (organization_id, invoice_id, credit_id, amount_cents)
             values ($1, $2, $3, $4)",
            organization.uuid(),
            invoice.uuid(),
            used.credit.uuid(),
            used.amount.get()
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

pub async fn uses_of(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    invoice: InvoiceId,
) -> Result<Vec<CreditUse>, StoreError> {
    let rows = sqlx::query!(
        r#"select credit_id as "credit: CreditId", amount_cents as "amount: Cents"
           from credit_uses where organization_id = $1 and invoice_id = $2 order by credit_id"#,
        organization.uuid(),
        invoice.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    let rows = rows.into_iter().map(|row| CreditUse {
        credit: row.credit,
        amount: row.amount,
    });
    Ok(rows.collect())
}
