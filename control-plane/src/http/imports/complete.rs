use crate::app::import::{self, Import};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::ImportId;

/// Switch over to this database
///
/// Of an import that is `following`. Stop writing at the source first: everything that has committed
/// there by now is applied, sequences get their values, and the source is followed no longer. Once the
/// state is `validating` or `succeeded` the database may be written to.
#[utoipa::path(
    post,
    path = "/v1/imports/{import_id}/complete",
    tag = "imports",
    operation_id = "import_complete",
    params(("import_id" = ImportId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    responses((status = 200, description = "It will switch over.", body = Import)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn import_complete(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ImportId>,
    IdempotencyKey(request): IdempotencyKey,
) -> Result<Json<Import>, AppError> {
    import::import_complete(&platform, &caller, id, request.as_ref())
        .await
        .map(Json)
}
