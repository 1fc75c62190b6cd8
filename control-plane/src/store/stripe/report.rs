//! Each night's comparison.

use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_contract::id::{CreditNoteId, InvoiceId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;
use uuid::Uuid;

/// One of our invoices that Stripe should have.
#[derive(Debug, Clone)]
pub struct OursRow {
    pub invoice_id: InvoiceId,
    pub number: String,
    /// What Stripe was asked to collect.
    pub sent_cents: Cents,
    /// What it told us of, by the ledger.
    pub received_cents: Cents,
    /// Whether nothing of it is owed any more.
    pub is_void: bool,
}

/// Invoices handed over since `from` and before `until`.
pub async fn ours(
    tx: &mut RegionTx,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Vec<OursRow>, StoreError> {
    let rows = sqlx::query_as!(
        OursRow,
        r#"select i.id as "invoice_id: InvoiceId", i.number,
                  (i.total_cents - coalesce((select sum(l.cash_cents) from ledger_entries l
                                             where l.invoice_id = i.id and l.key like 'payment/balance/%'
                                               and l.cash_cents > 0), 0))::bigint
                      as "sent_cents!: Cents",
                  (select coalesce(sum(l.cash_cents), 0)::bigint from ledger_entries l
                   where l.invoice_id = i.id and l.key like 'payment/stripe/in_%')
                      as "received_cents!: Cents",
                  i.state = 'void' as "is_void!"
           from stripe_tasks t join invoices i on i.id = t.invoice_id
           where t.kind = 'invoice' and t.created_at >= $1 and t.created_at < $2
           order by i.number"#,
        from,
        until
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// One of our credit notes that Stripe should have.
#[derive(Debug, Clone)]
pub struct OurNoteRow {
    pub credit_note_id: CreditNoteId,
    pub number: String,
    pub total_cents: Cents,
    pub refund_cents: Cents,
    /// Whether Stripe has its invoice.
    pub is_expected: bool,
}

/// Credit notes that were sent since `from`.
pub async fn our_notes(
    tx: &mut RegionTx,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Vec<OurNoteRow>, StoreError> {
    let rows = sqlx::query_as!(
        OurNoteRow,
        r#"select n.id as "credit_note_id: CreditNoteId", n.number,
                  n.total_cents as "total_cents: Cents", t.refund_cents as "refund_cents: Cents",
                  exists (select from stripe_tasks i where i.invoice_id = t.invoice_id
                            and i.kind = 'invoice' and i.stripe_id is not null)
                      as "is_expected!"
           from stripe_tasks t join credit_notes n on n.id = t.credit_note_id
           where t.kind = 'credit_note' and t.created_at >= $1 and t.created_at < $2
           order by n.number"#,
        from,
        until
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Keeps a comparison.
pub async fn insert(
    tx: &mut RegionTx,
    id: Uuid,
    now: OffsetDateTime,
    invoices_compared: i32,
    differences: &serde_json::Value,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into stripe_reports (id, made_at, invoices_compared, differences)
         values ($1, $2, $3, $4)",
        id,
        now,
        invoices_compared,
        differences
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// When the latest was made.
pub async fn latest(tx: &mut RegionTx) -> Result<Option<OffsetDateTime>, StoreError> {
    let latest = sqlx::query_scalar!("select max(made_at) from stripe_reports")
        .fetch_one(tx.connection())
        .await?;
    Ok(latest)
}

/// What we owed a customer from earlier invoices and took off this one.
pub async fn paid_by_balance(
    tx: &mut EitherTx<'_>,
    invoice: InvoiceId,
) -> Result<Cents, StoreError> {
    let paid = sqlx::query_scalar!(
        r#"select coalesce(sum(cash_cents), 0)::bigint as "paid!: Cents" from ledger_entries
           where invoice_id = $1 and key like 'payment/balance/%' and cash_cents > 0"#,
        invoice.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(paid)
}

/// What cards paid for an invoice, less what went back to them.
pub async fn by_card(tx: &mut EitherTx<'_>, invoice: InvoiceId) -> Result<Cents, StoreError> {
    let paid = sqlx::query_scalar!(
        r#"select coalesce(sum(cash_cents), 0)::bigint as "paid!: Cents" from ledger_entries
           where invoice_id = $1 and (key like 'payment/stripe/%' or key like 'refund/stripe/%')"#,
        invoice.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(paid)
}

/// Number and total of a credit note.
pub async fn note(tx: &mut EitherTx<'_>, id: CreditNoteId) -> Result<(String, Cents), StoreError> {
    let row = sqlx::query!(
        r#"select number, total_cents as "total_cents: Cents" from credit_notes where id = $1"#,
        id.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok((row.number, row.total_cents))
}
