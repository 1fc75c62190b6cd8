use crate::app::database::{self, Database};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use crate::http::tagged::Tagged;
use axum::extract::State;
use lumadb_contract::id::DatabaseId;

/// Get a database
#[utoipa::path(
    get,
    path = "/v1/databases/{database_id}",
    tag = "databases",
    operation_id = "database_get",
    params(("database_id" = DatabaseId, Path)),
    responses((status = 200, description = "The database.", body = Database, headers(("ETag" = String, description = "Its revision.")))),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn database_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
) -> Result<Tagged<Database>, AppError> {
    let found = database::database_get(&platform, &caller, id).await?;
    Ok(Tagged(found.revision, found))
}
