use crate::app::archive::restore::{self, DatabaseRestore, DatabaseRestored};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, IfMatch, PathId, Prefer, ValidJson};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::DatabaseId;

/// Restore a database
///
/// As it was at a moment of its window. A new database is in the same project and has the same roles
/// with the same passwords; its field `restore` says how far it is. With `in_place` the database
/// itself is restored: it serves until that can take its place, connections are cut then, and what it
/// had until then is kept as another database. Its field `in_place_restore` says how far that is.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/restore",
    tag = "restores",
    operation_id = "database_restore",
    params(("database_id" = DatabaseId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again."), ("If-Match" = Option<String>, Header, description = "The ETag of what you mean to restore."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    request_body = DatabaseRestore,
    responses((status = 201, description = "Being restored.", body = DatabaseRestored)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn database_restore(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    IdempotencyKey(request): IdempotencyKey,
    if_match: IfMatch,
    prefer: Prefer,
    ValidJson(input): ValidJson<DatabaseRestore>,
) -> Result<(StatusCode, Json<DatabaseRestored>), AppError> {
    let request = request.as_ref();
    let check = |revision| if_match.check(revision);
    let restored = restore::database_restore(&platform, &caller, id, request, check, input);
    let mut made = restored.await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.database(Some(&mut made.operation), &mut made.database)
        .await?;
    Ok((StatusCode::CREATED, Json(made)))
}
