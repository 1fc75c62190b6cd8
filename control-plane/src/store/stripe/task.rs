//! What is to be sent.

use super::notify;
use crate::store::{EitherTx, RegionTx, StoreError};
use lumadb_contract::id::{CreditNoteId, InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use time::OffsetDateTime;
use uuid::Uuid;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum TaskKind {
    /// A final invoice, until it is paid.
    Invoice,
    /// That an invoice is void.
    Void,
    CreditNote,
}

impl TaskKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Void => "void",
            Self::CreditNote => "credit_note",
        }
    }
}

#[derive(Debug, Clone)]
pub struct TaskRow {
    pub id: Uuid,
    pub organization_id: OrganizationId,
    pub kind: TaskKind,
    pub invoice_id: InvoiceId,
    pub credit_note_id: Option<CreditNoteId>,
    pub stripe_id: Option<String>,
    pub step: Option<String>,
    pub idempotency_key: Option<String>,
    pub key_made_at: Option<OffsetDateTime>,
    pub key_tries: i32,
    pub refusals: i32,
    /// Of a credit note: what goes back to the card. It is booked already.
    pub refund_cents: Cents,
}

/// Adds one, unless it is there.
pub async fn insert(
    tx: &mut EitherTx<'_>,
    id: Uuid,
    organization: OrganizationId,
    kind: TaskKind,
    invoice: InvoiceId,
    credit_note: Option<(CreditNoteId, Cents)>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into stripe_tasks (id, organization_id, kind, invoice_id, credit_note_id,
             refund_cents, created_at, send_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing",
        id,
        organization.uuid(),
        kind.as_str(),
        invoice.uuid(),
        credit_note.map(|(id, _)| id.uuid()),
        credit_note.map_or(0, |(_, refund)| refund.get()),
        now
    )
    .execute(tx.connection())
    .await?;
    notify(tx).await
}

/// Takes those that are due, for as long as the lease lasts. What concerns one invoice goes one
/// after the other, and what takes something back of it waits until Stripe has it.
pub async fn claim(
    tx: &mut RegionTx,
    now: OffsetDateTime,
    lease_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<TaskRow>, StoreError> {
    let rows = sqlx::query_as!(
        TaskRow,
        r#"update stripe_tasks set lease_until = $2
           where id in (select id from stripe_tasks t
                        where done_at is null and failed_at is null and send_at <= $1
                          and (lease_until is null or lease_until <= $1)
                          and not exists (select from stripe_tasks other
                                          where other.invoice_id = t.invoice_id
                                            and other.id <> t.id and other.done_at is null
                                            and (other.lease_until > $1
                                                 or other.kind = 'invoice'
                                                    and other.stripe_id is null
                                                    and other.failed_at is null))
                        order by send_at limit $3 for update skip locked)
           returning id, organization_id as "organization_id: OrganizationId",
                     kind as "kind: TaskKind", invoice_id as "invoice_id: InvoiceId",
                     credit_note_id as "credit_note_id: CreditNoteId", stripe_id, step,
                     idempotency_key, key_made_at, key_tries, refusals,
                     refund_cents as "refund_cents: Cents""#,
        now,
        lease_until,
        limit
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Stores a step and its key before it is sent.
pub async fn step(
    tx: &mut RegionTx,
    id: Uuid,
    step: &str,
    key: &str,
    key_made_at: OffsetDateTime,
    key_tries: i32,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_tasks
         set step = $2, idempotency_key = $3, key_made_at = $4, key_tries = $5 where id = $1",
        id,
        step,
        key,
        key_made_at,
        key_tries
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes what Stripe calls the document.
pub async fn known(
    tx: &mut RegionTx,
    id: Uuid,
    stripe_id: &str,
    hosted_url: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_tasks set stripe_id = $2, hosted_url = coalesce($3, hosted_url)
         where id = $1",
        id,
        stripe_id,
        hosted_url
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Stripe is where the document is.
pub async fn done(tx: &mut RegionTx, id: Uuid, now: OffsetDateTime) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_tasks set done_at = $2, lease_until = null, error = null,
             refused_because = null
         where id = $1 and done_at is null",
        id,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// To be sent again later.
pub async fn retry(
    tx: &mut RegionTx,
    id: Uuid,
    send_at: OffsetDateTime,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_tasks set send_at = $2, lease_until = null, error = $3 where id = $1",
        id,
        send_at,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The bank refused the charge: the next one has another key.
pub async fn refused(
    tx: &mut RegionTx,
    id: Uuid,
    send_at: OffsetDateTime,
    because: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_tasks
         set send_at = $2, lease_until = null, error = $3, refused_because = $3,
             refusals = refusals + 1, step = null, idempotency_key = null, key_made_at = null,
             key_tries = 0
         where id = $1",
        id,
        send_at,
        because
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Somebody must look.
pub async fn failed(
    tx: &mut RegionTx,
    id: Uuid,
    now: OffsetDateTime,
    error: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_tasks set failed_at = $2, lease_until = null, error = $3 where id = $1",
        id,
        now,
        error
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The organization has another card: charges that were refused are tried at once.
pub async fn card_changed(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_tasks set send_at = $2
         where organization_id = $1 and kind = 'invoice' and done_at is null and failed_at is null",
        organization.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    notify(tx).await
}

/// The task that an invoice of Stripe's was made for.
pub async fn of_stripe_invoice(
    tx: &mut RegionTx,
    stripe_id: &str,
) -> Result<Option<(Uuid, OrganizationId, InvoiceId)>, StoreError> {
    let row = sqlx::query!(
        r#"select id, organization_id as "organization_id: OrganizationId",
                  invoice_id as "invoice_id: InvoiceId"
           from stripe_tasks where stripe_id = $1 and kind = 'invoice'"#,
        stripe_id
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| (row.id, row.organization_id, row.invoice_id)))
}

/// What Stripe calls one of our invoices.
pub async fn stripe_invoice(
    tx: &mut RegionTx,
    invoice: InvoiceId,
) -> Result<Option<String>, StoreError> {
    let found = sqlx::query_scalar!(
        "select stripe_id from stripe_tasks where invoice_id = $1 and kind = 'invoice'",
        invoice.uuid()
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(found.flatten())
}

/// A charge that was refused, as its customer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCharge {
    pub invoice_id: InvoiceId,
    pub because: String,
    pub hosted_url: Option<String>,
}

/// Charges of an organization that were refused and not made up for.
pub async fn refused_charges(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<RefusedCharge>, StoreError> {
    let rows = sqlx::query_as!(
        RefusedCharge,
        r#"select invoice_id as "invoice_id: InvoiceId", refused_because as "because!", hosted_url
           from stripe_tasks
           where organization_id = $1 and refused_because is not null and done_at is null
           order by created_at"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
