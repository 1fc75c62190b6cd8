use crate::app::catalog::{self, Region};
use crate::app::{AppError, Platform};
use crate::http::extract::Page;
use axum::Json;
use axum::extract::State;

/// List regions
#[utoipa::path(
    get,
    path = "/v1/regions",
    tag = "catalog",
    operation_id = "region_list",
    responses((status = 200, description = "All of them.", body = Page<Region>)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn region_list(
    State(platform): State<Platform>,
) -> Result<Json<Page<Region>>, AppError> {
    let items = catalog::region_list(&platform).await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}
