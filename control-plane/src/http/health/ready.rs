use crate::app::{AppError, Platform, catalog};
use crate::http::health::live::Health;
use axum::Json;
use axum::extract::State;

/// Can the process answer
///
/// It can when the control plane's database answers.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    operation_id = "health_ready",
    responses((status = 200, description = "It can.", body = Health)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn health_ready(
    State(platform): State<Platform>,
) -> Result<Json<Health>, AppError> {
    catalog::ready(&platform).await?;
    Ok(Json(Health { status: "ok" }))
}
