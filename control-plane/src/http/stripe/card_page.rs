use crate::app::{AppError, Platform};
use crate::collect::{self, CardPage, Page};
use crate::http::extract::{Authenticated, PathId, ValidJson};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::OrganizationId;

/// Open a page on which a card is saved
///
/// The page is Stripe's. Once the card is saved, changes of plan that wait for a way to pay come
/// into force, and charges that were refused are tried again.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization_id}/card",
    tag = "billing",
    operation_id = "card_page_create",
    params(("organization_id" = OrganizationId, Path)),
    request_body = CardPage,
    responses((status = 201, description = "Where to send the browser.", body = Page)),
    extensions(("x-action" = json!("billing_write"))),
)]
pub(super) async fn card_page_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
    ValidJson(input): ValidJson<CardPage>,
) -> Result<(StatusCode, Json<Page>), AppError> {
    let page = collect::card_page(&platform, &caller, id, &input).await?;
    Ok((StatusCode::CREATED, Json(page)))
}
