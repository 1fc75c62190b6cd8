use crate::app::billing::{self, Asked, ChangeQuote, DryRun, PlanChangeCreate, PlanChanged};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, ValidJson, ValidQuery};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use lumadb_contract::id::OrganizationId;

/// Change the plan
///
/// A larger plan begins at once, for the rest of the month's fee; where a card is needed and there
/// is none, once there is one. A smaller plan begins at the month's end. Either is refused while
/// more is held than it allows.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization_id}/plan-changes",
    tag = "billing",
    operation_id = "plan_change_create",
    params(("organization_id" = OrganizationId, Path), DryRun, ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    request_body = PlanChangeCreate,
    responses((status = 201, description = "Made, scheduled, or waiting for a card.", body = PlanChanged), (status = 200, description = "What it would cost, if only that was asked.", body = ChangeQuote)),
    extensions(("x-action" = json!("billing_write"))),
)]
pub(super) async fn plan_change_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    IdempotencyKey(request): IdempotencyKey,
    ValidQuery(query): ValidQuery<DryRun>,
    ValidJson(input): ValidJson<PlanChangeCreate>,
) -> Result<Response, AppError> {
    let (request, dry_run) = (request.as_ref(), query.dry_run);
    let asked =
        billing::plan_change_create(&platform, &caller, id, request, dry_run, input).await?;
    Ok(match asked {
        Asked::Done(changed) => (StatusCode::CREATED, Json(changed)).into_response(),
        Asked::Quoted(quote) => Json(quote).into_response(),
    })
}
