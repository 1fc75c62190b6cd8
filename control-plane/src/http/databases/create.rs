use crate::app::database::{self, DatabaseCreate, DatabaseCreated};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, Prefer, ValidJson};
use crate::http::hold::Hold;
use crate::http::tagged::Tagged;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::ProjectId;

/// Create a database
///
/// It can be connected to as soon as the operation has ended.
#[utoipa::path(
    post,
    path = "/v1/projects/{project_id}/databases",
    tag = "databases",
    operation_id = "database_create",
    params(("project_id" = ProjectId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    request_body = DatabaseCreate,
    responses((status = 201, description = "Created.", body = DatabaseCreated)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn database_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ProjectId>,
    IdempotencyKey(request): IdempotencyKey,
    prefer: Prefer,
    ValidJson(input): ValidJson<DatabaseCreate>,
) -> Result<(StatusCode, Tagged<DatabaseCreated>), AppError> {
    let request = request.as_ref();
    let mut made = database::database_create(&platform, &caller, id, request, input).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.database(Some(&mut made.operation), &mut made.database)
        .await?;
    Ok((StatusCode::CREATED, Tagged(made.database.revision, made)))
}
