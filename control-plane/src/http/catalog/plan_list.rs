use crate::app::catalog::{self, Plans};
use crate::app::{AppError, Platform};
use axum::Json;
use axum::extract::State;

/// List plans and compute sizes
#[utoipa::path(
    get,
    path = "/v1/plans",
    tag = "catalog",
    operation_id = "plan_list",
    responses((status = 200, description = "All of them.", body = Plans)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn plan_list(State(platform): State<Platform>) -> Result<Json<Plans>, AppError> {
    catalog::plan_list(&platform).await.map(Json)
}
