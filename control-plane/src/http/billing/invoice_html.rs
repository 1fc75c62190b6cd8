use crate::app::billing;
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::extract::State;
use axum::response::{Html, IntoResponse};
use http::header::CONTENT_SECURITY_POLICY;
use lumadb_contract::id::InvoiceId;

/// The document's own inline style, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Get an invoice as a page
///
/// To be read and printed; it needs nothing but itself.
#[utoipa::path(
    get,
    path = "/v1/invoices/{invoice_id}/document.html",
    tag = "billing",
    operation_id = "invoice_html",
    params(("invoice_id" = InvoiceId, Path)),
    responses((status = 200, description = "The document.", body = String, content_type = "text/html")),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn invoice_html(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<InvoiceId>,
) -> Result<impl IntoResponse, AppError> {
    let document = billing::invoice_document(&platform, &caller, id).await?;
    Ok(([(CONTENT_SECURITY_POLICY, POLICY)], Html(document.html())))
}
