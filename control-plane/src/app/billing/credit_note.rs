//! Credit notes as the API shows them.

use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::credit_note::{self, CreditNoteRow};
use lumadb_contract::id::{CreditNoteId, InvoiceId};
use lumadb_contract::money::Cents;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What takes back a part of an invoice, or all of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreditNoteView {
    pub id: CreditNoteId,
    pub invoice_id: InvoiceId,
    #[schema(examples("CN-2026-000001"))]
    pub number: String,
    pub lines: Vec<CreditNoteLine>,
    pub net_cents: Cents,
    pub tax_cents: Cents,
    pub total_cents: Cents,
    pub reason: String,
    #[serde(with = "time::serde::rfc3339")]
    pub issued_at: OffsetDateTime,
}

/// What is taken back of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreditNoteLine {
    /// On the invoice, from 0 on.
    pub position: u32,
    pub amount_cents: Cents,
}

impl From<CreditNoteRow> for CreditNoteView {
    fn from(row: CreditNoteRow) -> Self {
        let lines = row.lines.0.iter().map(|line| CreditNoteLine {
            position: u32::try_from(line.line).unwrap_or(u32::MAX),
            amount_cents: line.amount,
        });
        Self {
            lines: lines.collect(),
            id: row.id,
            invoice_id: row.invoice_id,
            number: row.number,
            net_cents: row.net_cents,
            tax_cents: row.tax_cents,
            total_cents: row.total_cents,
            reason: row.reason,
            issued_at: row.issued_at,
        }
    }
}

/// The credit notes of an invoice, the oldest first.
pub async fn credit_note_list(
    platform: &Platform,
    caller: &Caller,
    id: InvoiceId,
) -> Result<Vec<CreditNoteView>, AppError> {
    let member = authorize(platform, caller, id, Action::BillingRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let either = &mut EitherTx::Tenant(&mut tx);
    let rows = credit_note::of_invoice(either, member.organization, id).await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(CreditNoteView::from).collect())
}
