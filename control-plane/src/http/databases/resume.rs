use crate::app::database::{self, DatabaseChanged, RunChange};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, Prefer};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Resume a database
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/resume",
    tag = "databases",
    operation_id = "database_resume",
    params(("database_id" = DatabaseId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    responses((status = 200, description = "It is being resumed.", body = DatabaseChanged)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn database_resume(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    IdempotencyKey(request): IdempotencyKey,
    prefer: Prefer,
) -> Result<Json<DatabaseChanged>, AppError> {
    let wish = RunChange::Resume;
    let request = request.as_ref();
    let mut changed = database::database_run_change(&platform, &caller, id, request, wish).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.database(changed.operation.as_mut(), &mut changed.database)
        .await?;
    Ok(Json(changed))
}
