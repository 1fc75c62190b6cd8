use crate::app::billing;
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use lumadb_contract::id::InvoiceId;

/// Get an invoice as a PDF
#[utoipa::path(
    get,
    path = "/v1/invoices/{invoice_id}/document.pdf",
    tag = "billing",
    operation_id = "invoice_pdf",
    params(("invoice_id" = InvoiceId, Path)),
    responses((status = 200, description = "The document.", body = String, content_type = "application/pdf")),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn invoice_pdf(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<InvoiceId>,
) -> Result<impl IntoResponse, AppError> {
    let file = billing::invoice_pdf(&platform, &caller, id).await?;
    let headers = [
        (CONTENT_TYPE, "application/pdf".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("inline; filename=\"{}\"", file.name),
        ),
    ];
    Ok((headers, file.content))
}
