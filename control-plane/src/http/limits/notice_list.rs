use crate::app::limits::{self, LimitNoticeList};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// List what an organization was told of its limits
///
/// In the current month, at 80 % and 100 % of each.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/limit-notices",
    tag = "limits",
    operation_id = "limit_notice_list",
    params(("organization_id" = OrganizationId, Path)),
    responses((status = 200, description = "The notices, the newest first.", body = LimitNoticeList)),
    extensions(("x-action" = json!("organization_read"))),
)]
pub(super) async fn limit_notice_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
) -> Result<Json<LimitNoticeList>, AppError> {
    Ok(Json(limits::notice_list(&platform, &caller, id).await?))
}
