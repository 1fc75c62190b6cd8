use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// Is the process alive
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    operation_id = "health_live",
    responses((status = 200, description = "It is.", body = Health)),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn health_live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// How the process is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(examples("ok"))]
    pub status: &'static str,
}
