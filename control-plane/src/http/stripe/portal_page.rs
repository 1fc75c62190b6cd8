use crate::app::{AppError, Platform};
use crate::collect::{self, Page};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::OrganizationId;

/// Open the page on which cards are changed
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization_id}/portal",
    tag = "billing",
    operation_id = "portal_page_create",
    params(("organization_id" = OrganizationId, Path)),
    responses((status = 201, description = "Where to send the browser.", body = Page)),
    extensions(("x-action" = json!("billing_write"))),
)]
pub(super) async fn portal_page_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
) -> Result<(StatusCode, Json<Page>), AppError> {
    let page = collect::portal_page(&platform, &caller, id).await?;
    Ok((StatusCode::CREATED, Json(page)))
}
