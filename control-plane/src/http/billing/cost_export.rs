use crate::app::billing::{self, MonthQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use crate::http::table::csv;
use axum::extract::State;
use axum::response::Response;
use lumadb_contract::id::OrganizationId;

/// Export the costs of a month
///
/// The charges of its invoices as CSV, with the columns of the FinOps Open Cost and Usage
/// Specification (FOCUS) 1.2.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/cost-export",
    tag = "billing",
    operation_id = "cost_export",
    params(("organization_id" = OrganizationId, Path), MonthQuery),
    responses((status = 200, description = "A row for each charge.", body = String, content_type = "text/csv")),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn cost_export(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    ValidQuery(query): ValidQuery<MonthQuery>,
) -> Result<Response, AppError> {
    billing::cost_export(&platform, &caller, id, &query)
        .await
        .map(csv)
}
