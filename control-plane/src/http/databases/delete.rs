use crate::app::database::{self, DatabaseChanged};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IfMatch, PathId, Prefer};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Delete a database
///
/// With everything in it. Refused while deletion protection is on.
#[utoipa::path(
    delete,
    path = "/v1/databases/{database_id}",
    tag = "databases",
    operation_id = "database_delete",
    params(("database_id" = DatabaseId, Path), ("If-Match" = Option<String>, Header, description = "The ETag of what you mean to change."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    responses((status = 200, description = "It is being deleted.", body = DatabaseChanged)),
    extensions(("x-action" = json!("database_delete"))),
)]
pub(super) async fn database_delete(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    if_match: IfMatch,
    prefer: Prefer,
) -> Result<Json<DatabaseChanged>, AppError> {
    let check = |revision| if_match.check(revision);
    let mut changed = database::database_delete(&platform, &caller, id, check).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.database(changed.operation.as_mut(), &mut changed.database)
        .await?;
    Ok(Json(changed))
}
