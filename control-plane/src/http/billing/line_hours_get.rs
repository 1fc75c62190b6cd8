use crate::app::billing::{self, LineHours, LineHoursQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::InvoiceId;

/// Get the hours of a line of an invoice
///
/// Of a line for usage. The samples of an hour are at
/// `/v1/databases/{database_id}/usage/samples`.
#[utoipa::path(
    get,
    path = "/v1/invoices/{invoice_id}/lines/{position}/hours",
    tag = "billing",
    operation_id = "invoice_line_hours_get",
    params(("invoice_id" = InvoiceId, Path), ("position" = u32, Path, description = "Of the line, from 0 on."), LineHoursQuery),
    responses((status = 200, description = "Hours.", body = LineHours)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn invoice_line_hours_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId((id, position)): PathId<(InvoiceId, u32)>,
    ValidQuery(query): ValidQuery<LineHoursQuery>,
) -> Result<Json<LineHours>, AppError> {
    billing::line_hours_get(&platform, &caller, id, position, query)
        .await
        .map(Json)
}
