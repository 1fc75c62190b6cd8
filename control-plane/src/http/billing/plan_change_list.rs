use crate::app::billing::{self, PlanChange};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// List changes of plan
///
/// Newest first. One that has not ended is the first of them.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/plan-changes",
    tag = "billing",
    operation_id = "plan_change_list",
    params(("organization_id" = OrganizationId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<PlanChange>)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn plan_change_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    page: Pagination,
) -> Result<Json<Page<PlanChange>>, AppError> {
    let before = page.cursor()?;
    let rows = billing::plan_change_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
