use crate::app::billing::{self, CreditNoteView};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::InvoiceId;

/// List the credit notes of an invoice
///
/// Oldest first; all on one page.
#[utoipa::path(
    get,
    path = "/v1/invoices/{invoice_id}/credit-notes",
    tag = "billing",
    operation_id = "credit_note_list",
    params(("invoice_id" = InvoiceId, Path)),
    responses((status = 200, description = "All of them.", body = Page<CreditNoteView>)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn credit_note_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<InvoiceId>,
) -> Result<Json<Page<CreditNoteView>>, AppError> {
    let notes = billing::credit_note_list(&platform, &caller, id).await?;
    Ok(Json(Page::whole(notes)))
}
