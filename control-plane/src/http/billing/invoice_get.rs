use crate::app::billing::{self, Invoice};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::InvoiceId;

/// Get an invoice
#[utoipa::path(
    get,
    path = "/v1/invoices/{invoice_id}",
    tag = "billing",
    operation_id = "invoice_get",
    params(("invoice_id" = InvoiceId, Path)),
    responses((status = 200, description = "The invoice with its lines.", body = Invoice)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn invoice_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<InvoiceId>,
) -> Result<Json<Invoice>, AppError> {
    billing::invoice_get(&platform, &caller, id).await.map(Json)
}
