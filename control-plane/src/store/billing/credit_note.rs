//! Credit notes: final from the start.

use crate::store::{EitherTx, StoreError};
use lumadb_billing::invoice::{CreditNote, CreditedLine};
use lumadb_contract::id::{CreditNoteId, InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;

/// What is taken back of a line, as it is stored.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StoredCreditedLine {
    pub line: usize,
    pub amount: Cents,
}

#[derive(Debug, Clone)]
pub struct CreditNoteRow {
    pub id: CreditNoteId,
    pub invoice_id: InvoiceId,
    pub number: String,
    pub lines: Json<Vec<StoredCreditedLine>>,
    pub net_cents: Cents,
    pub tax_cents: Cents,
    pub total_cents: Cents,
    pub reason: String,
    pub issued_at: OffsetDateTime,
}

impl CreditNoteRow {
    /// As the crate `billing` knows it.
    pub fn note(&self) -> Result<CreditNote, StoreError> {
        let number = self.number.parse().map_err(|_| {
            StoreError::Corrupt(format!("`{}` is not a document's number", self.number))
        })?;
        let lines = self.lines.0.iter().map(|line| CreditedLine {
            line: line.line,
            amount: line.amount,
        });
        Ok(CreditNote {
            id: self.id,
            invoice: self.invoice_id,
            number,
            lines: lines.collect(),
            net: self.net_cents,
            tax: self.tax_cents,
            total: self.total_cents,
        })
    }
}

pub async fn insert(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    note: &CreditNote,
    reason: &str,
    by: &str,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let lines: Vec<StoredCreditedLine> = note
        .lines
        .iter()
        .map(|line| StoredCreditedLine {
            line: line.line,
            amount: line.amount,
        })
        .collect();
    sqlx::query!(
        "insert into credit_notes (id, organization_id, invoice_id, number, lines, net_cents,
             tax_cents, total_cents, reason, issued_at, issued_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        note.id.uuid(),
        organization.uuid(),
        note.invoice.uuid(),
        note.number.to_string(),
        Json(lines) as _,
        note.net.get(),
        note.tax.get(),
        note.total.get(),
        reason,
        now,
        by
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// The credit notes of an invoice, the oldest first.
pub async fn of_invoice(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    invoice: InvoiceId,
) -> Result<Vec<CreditNoteRow>, StoreError> {
    let rows = sqlx::query_as!(
        CreditNoteRow,
        r#"select id as "id: CreditNoteId", invoice_id as "invoice_id: InvoiceId", number,
                  lines as "lines: Json<Vec<StoredCreditedLine>>",
                  net_cents as "net_cents: Cents", tax_cents as "tax_cents: Cents",
                  total_cents as "total_cents: Cents", reason, issued_at
           from credit_notes where organization_id = $1 and invoice_id = $2 order by id"#,
        organization.uuid(),
        invoice.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
