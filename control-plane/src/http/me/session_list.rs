use crate::app::account::{self, SessionView};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, Page};
use axum::Json;
use axum::extract::State;

/// List my sessions
#[utoipa::path(
    get,
    path = "/v1/me/sessions",
    tag = "me",
    operation_id = "session_list",
    responses((status = 200, description = "The latest used first.", body = Page<SessionView>)),
    extensions(("x-action" = json!("self"))),
)]
pub(super) async fn session_list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Page<SessionView>>, AppError> {
    let items = account::session_list(&platform, &caller).await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}
