use crate::app::billing::{self, InvoiceSummary};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// List invoices
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/invoices",
    tag = "billing",
    operation_id = "invoice_list",
    params(("organization_id" = OrganizationId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<InvoiceSummary>)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn invoice_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    page: Pagination,
) -> Result<Json<Page<InvoiceSummary>>, AppError> {
    let before = page.cursor()?;
    let rows = billing::invoice_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
