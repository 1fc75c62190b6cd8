use crate::app::import::{self, Import};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::ImportId;

/// Cancel an import
///
/// What was copied is removed; the import is `cancelled` once that is done.
#[utoipa::path(
    post,
    path = "/v1/imports/{import_id}/cancel",
    tag = "imports",
    operation_id = "import_cancel",
    params(("import_id" = ImportId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    responses((status = 200, description = "It will end.", body = Import)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn import_cancel(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ImportId>,
    IdempotencyKey(request): IdempotencyKey,
) -> Result<Json<Import>, AppError> {
    import::import_cancel(&platform, &caller, id, request.as_ref())
        .await
        .map(Json)
}
