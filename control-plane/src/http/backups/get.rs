use crate::app::archive::backup::{self, Backup};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::BackupId;

/// Get a backup
#[utoipa::path(
    get,
    path = "/v1/backups/{backup_id}",
    tag = "backups",
    operation_id = "backup_get",
    params(("backup_id" = BackupId, Path)),
    responses((status = 200, description = "The backup.", body = Backup)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn backup_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<BackupId>,
) -> Result<Json<Backup>, AppError> {
    Ok(Json(backup::backup_get(&platform, &caller, id).await?))
}
