use crate::app::archive::drill::drill_counts;
use crate::http::ApiState;
use crate::http::metrics::render_drills;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

/// Metrics in the text format of Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    operation_id = "metrics",
    responses((status = 200, description = "Text format 0.0.4.", body = String, content_type = "text/plain")),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    // Without the database the counts of this process are still worth reading.
    let drills = drill_counts(&state.platform).await.unwrap_or_default();
    let page = state.metrics.render() + &render_drills(&drills);
    ([(CONTENT_TYPE, content_type)], page)
}
