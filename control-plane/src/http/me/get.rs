use crate::app::me::{self, Me};
use crate::app::{AppError, Platform};
use crate::http::extract::Authenticated;
use axum::Json;
use axum::extract::State;

/// Who am I
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "me",
    operation_id = "me_get",
    responses((status = 200, description = "The caller, and where it belongs.", body = Me)),
    extensions(("x-action" = json!("self"))),
)]
pub(super) async fn me_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Me>, AppError> {
    me::me(&platform, &caller).await.map(Json)
}
