use crate::app::billing::{self, Forecast};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Get the forecast of the running month
///
/// What it will have cost at its end, if databases go on as in the last seven days.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/forecast",
    tag = "billing",
    operation_id = "forecast_get",
    params(("organization_id" = OrganizationId, Path)),
    responses((status = 200, description = "The forecast.", body = Forecast)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn forecast_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
) -> Result<Json<Forecast>, AppError> {
    billing::forecast_get(&platform, &caller, id)
        .await
        .map(Json)
}
