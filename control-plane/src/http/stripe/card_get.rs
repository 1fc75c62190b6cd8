use crate::app::{AppError, Platform};
use crate::collect::{self, CardView};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OrganizationId;

/// Get the card that invoices are paid with
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization_id}/card",
    tag = "billing",
    operation_id = "card_get",
    params(("organization_id" = OrganizationId, Path)),
    responses((status = 200, description = "The card, and charges that were refused.", body = CardView)),
    extensions(("x-action" = json!("billing_read"))),
)]
pub(super) async fn card_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OrganizationId>,
) -> Result<Json<CardView>, AppError> {
    collect::card_get(&platform, &caller, id).await.map(Json)
}
