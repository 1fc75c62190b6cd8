use crate::app::billing::{self, DraftQuery, InvoiceDraft};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Get the running invoice
///
/// What was used so far, by meter and database, and the fee of the next month.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/invoices/draft",
    tag = "billing",
    operation_id = "invoice_draft_get",
    params(("organization_id" = OrganizationId, Path), DraftQuery),
    responses((status = 200, description = "The invoice as far as it is known.", body = InvoiceDraft)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn invoice_draft_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    ValidQuery(query): ValidQuery<DraftQuery>,
) -> Result<Json<InvoiceDraft>, AppError> {
    billing::invoice_draft_get(&platform, &caller, id, query)
        .await
        .map(Json)
}
