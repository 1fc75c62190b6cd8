use crate::app::audit::{self, AuditEvent};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// List audit events
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/audit-events",
    tag = "audit",
    operation_id = "audit_event_list",
    params(("organization_id" = OrganizationId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<AuditEvent>)),
    extensions(("x-action" = json!("audit_read"))),
)]
pub(super) async fn audit_event_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    page: Pagination,
) -> Result<Json<Page<AuditEvent>>, AppError> {
    let before = page.cursor()?;
    let rows = audit::audit_event_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
