use crate::app::archive::backup::{self, Backup, BackupCreate};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, ValidJson};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::DatabaseId;

/// Back a database up now
///
/// A database that sleeps wakes up for it. Follow it with `backup_get`.
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/backups",
    tag = "backups",
    operation_id = "backup_create",
    params(("database_id" = DatabaseId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again.")),
    request_body = BackupCreate,
    responses((status = 201, description = "Asked for.", body = Backup)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn backup_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    IdempotencyKey(request): IdempotencyKey,
    ValidJson(input): ValidJson<BackupCreate>,
) -> Result<(StatusCode, Json<Backup>), AppError> {
    let made = backup::backup_create(&platform, &caller, id, request.as_ref(), input).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
