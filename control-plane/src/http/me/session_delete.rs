use crate::app::account;
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::SessionId;

/// End one of my sessions
#[utoipa::path(
    delete,
    path = "/v1/me/sessions/{session_id}",
    tag = "me",
    operation_id = "session_delete",
    params(("session_id" = SessionId, Path)),
    responses((status = 204, description = "Ended.")),
    extensions(("x-action" = json!("self"))),
)]
pub(super) async fn session_delete(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, AppError> {
    account::session_delete(&platform, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
