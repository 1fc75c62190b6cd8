use crate::app::usage::{self, UsageExportQuery};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, ValidQuery};
use crate::http::table::csv;
use axum::extract::State;
use axum::response::Response;
use lumadb_contract::id::OrganizationId;

/// Export the usage of a month
///
/// A row for each database, meter and hour or day in which something was used, as CSV.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/usage-export",
    tag = "usage",
    operation_id = "usage_export",
    params(("organization_id" = OrganizationId, Path), UsageExportQuery),
    responses((status = 200, description = "What was used.", body = String, content_type = "text/csv")),
    extensions(("x-action" = json!("usage_read"))),
)]
pub(super) async fn usage_export(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    ValidQuery(query): ValidQuery<UsageExportQuery>,
) -> Result<Response, AppError> {
    usage::usage_export(&platform, &caller, id, &query)
        .await
        .map(csv)
}
