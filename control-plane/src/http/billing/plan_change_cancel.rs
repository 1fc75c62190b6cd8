use crate::app::billing::{self, PlanChange};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::{OrganizationId, PlanChangeId};

/// Cancel a change of plan
///
/// One that waits for the month's end or for a card.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization_id}/plan-changes/{plan_change_id}",
    tag = "billing",
    operation_id = "plan_change_cancel",
    params(("organization_id" = OrganizationId, Path), ("plan_change_id" = PlanChangeId, Path)),
    responses((status = 200, description = "It is cancelled.", body = PlanChange)),
    extensions(("x-action" = json!("billing_write"))),
)]
pub(super) async fn plan_change_cancel(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId((organization, id)): PathId<(OrganizationId, PlanChangeId)>,
) -> Result<Json<PlanChange>, AppError> {
    billing::plan_change_cancel(&platform, &caller, organization, id)
        .await
        .map(Json)
}
