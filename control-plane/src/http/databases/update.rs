use crate::app::billing::DryRun;
use crate::app::database::{self, DatabaseChanged, DatabaseUpdate};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IfMatch, PathId, Prefer, ValidJson, ValidQuery};
use crate::http::hold::Hold;
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Change a database
///
/// Its name, its size, its deletion protection, when it falls asleep. Another size is an operation.
#[utoipa::path(
    patch,
    path = "/v1/databases/{database_id}",
    tag = "databases",
    operation_id = "database_update",
    params(("database_id" = DatabaseId, Path), DryRun, ("If-Match" = Option<String>, Header, description = "The ETag of what you mean to change."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    request_body = DatabaseUpdate,
    responses((status = 200, description = "As it is now.", body = DatabaseChanged, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn database_update(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    if_match: IfMatch,
    prefer: Prefer,
    ValidQuery(query): ValidQuery<DryRun>,
    ValidJson(input): ValidJson<DatabaseUpdate>,
) -> Result<Tagged<DatabaseChanged>, AppError> {
    let check = |revision| if_match.check(revision);
    let dry_run = query.dry_run;
    let mut changed =
        database::database_update(&platform, &caller, id, check, dry_run, input).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.database(changed.operation.as_mut(), &mut changed.database)
        .await?;
    Ok(Tagged(changed.database.revision, changed))
}
