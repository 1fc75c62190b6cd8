use crate::app::import::{self, Import};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::ImportId;

/// Get an import
///
/// How far it is, and how it ended.
#[utoipa::path(
    get,
    path = "/v1/imports/{import_id}",
    tag = "imports",
    operation_id = "import_get",
    params(("import_id" = ImportId, Path)),
    responses((status = 200, description = "The import.", body = Import)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn import_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ImportId>,
) -> Result<Json<Import>, AppError> {
    Ok(Json(import::import_get(&platform, &caller, id).await?))
}
