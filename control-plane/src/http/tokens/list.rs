use crate::app::token::{self, ApiToken};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page, PageQuery, Pagination, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// List API tokens
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/tokens",
    tag = "tokens",
    operation_id = "token_list",
    params(("organization_id" = OrganizationId, Path), PageQuery),
    responses((status = 200, description = "A page.", body = Page<ApiToken>)),
    extensions(("x-action" = json!("token_read"))),
)]
pub(super) async fn token_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    page: Pagination,
) -> Result<Json<Page<ApiToken>>, AppError> {
    let before = page.cursor()?;
    let rows = token::token_list(&platform, &caller, id, before, page.fetch()).await?;
    Ok(Json(Page::of(
        rows,
        &page,
        |row| row.id.to_string(),
        |row| row,
    )))
}
