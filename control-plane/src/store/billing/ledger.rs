//! The books: entries are added once each, and never changed.

use crate::store::{EitherTx, StoreError};
use lumadb_billing::ledger::{Entry, LedgerAccount, Posted};
use lumadb_contract::id::{InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;

/// Books an entry. One that is booked already changes nothing; with other amounts it is an error.
pub async fn post(tx: &mut EitherTx<'_>, entry: &Entry) -> Result<Posted, StoreError> {
    let amount = |account| {
        let own = entry.postings().iter();
        let own = own.filter(|posting| posting.account == account);
        own.map(|posting| posting.amount.get()).sum::<i64>()
    };
    let amounts = LedgerAccount::ALL.map(amount);
    let [receivable, revenue, tax, cash, credits] = amounts;
    let key = entry.key().to_string();
    let added = sqlx::query!(
        "insert into ledger_entries (key, organization_id, invoice_id, at, receivable_cents,
             revenue_cents, tax_cents, cash_cents, credits_cents)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (key) do nothing",
        key,
        entry.organization().uuid(),
        entry.invoice().uuid(),
        entry.at(),
        receivable,
        revenue,
        tax,
        cash,
        credits
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    if added == 1 {
        return Ok(Posted::New);
    }
    let same = sqlx::query_scalar!(
        r#"select (invoice_id, receivable_cents, revenue_cents, tax_cents, cash_cents,
                   credits_cents) = ($3, $4, $5, $6, $7, $8) as "same!"
           from ledger_entries where key = $1 and organization_id = $2"#,
        key,
        entry.organization().uuid(),
        entry.invoice().uuid(),
        receivable,
        revenue,
        tax,
        cash,
        credits
    )
    .fetch_optional(tx.connection())
    .await?;
    match same {
        Some(true) => Ok(Posted::Already),
        _ => Err(StoreError::Corrupt(format!(
            "entry `{key}` of the ledger is booked already, with other amounts"
        ))),
    }
}

/// Whether a payment with this reference is booked for an invoice.
pub async fn is_paid_by(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    invoice: InvoiceId,
    reference: &str,
) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!(
        r#"select exists(select from ledger_entries
                         where organization_id = $1 and invoice_id = $2 and key = $3) as "found!""#,
        organization.uuid(),
        invoice.uuid(),
        format!("payment/{reference}")
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(found)
}

/// Invoices for which we owe something: they were paid and credited, or come to less than nothing.
/// The oldest first, each with what we owe.
pub async fn in_favor(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<(InvoiceId, Cents)>, StoreError> {
    let rows = sqlx::query!(
        r#"select invoice_id as "invoice: InvoiceId", (-sum(receivable_cents))::bigint as "cents!"
           from ledger_entries where organization_id = $1
           group by invoice_id having sum(receivable_cents) < 0 order by invoice_id"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| (row.invoice, Cents::new(row.cents)))
        .collect())
}
