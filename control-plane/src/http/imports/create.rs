use crate::app::import::{self, Import, ImportCreate};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, ValidJson};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::DatabaseId;

/// Import from another PostgreSQL
///
/// Copies everything of one logical database of a running server into an empty one of this
/// database. Follow it with `import_get`. If it fails, what was copied is removed again. A continuous
/// one goes on applying what changes at the source, until `import_complete` switches over.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/imports",
    tag = "imports",
    operation_id = "import_create",
    params(("database_id" = DatabaseId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    request_body = ImportCreate,
    responses((status = 201, description = "Asked for.", body = Import)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn import_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    IdempotencyKey(request): IdempotencyKey,
    ValidJson(input): ValidJson<ImportCreate>,
) -> Result<(StatusCode, Json<Import>), AppError> {
    let made = import::import_create(&platform, &caller, id, request.as_ref(), input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
