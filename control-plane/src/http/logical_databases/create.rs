use crate::app::logical_database::{self, LogicalDatabaseChanged, LogicalDatabaseCreate};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, Prefer, ValidJson};
use crate::http::hold::Hold;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use lumadb_contract::id::DatabaseId;

/// Create a logical database
#[utoipa::path(
    post,
    path = "/v1/databases/{database_id}/logical-databases",
    tag = "logical databases",
    operation_id = "logical_database_create",
    params(("database_id" = DatabaseId, Path), ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    request_body = LogicalDatabaseCreate,
    responses((status = 201, description = "Created.", body = LogicalDatabaseChanged)),
    extensions(("x-action" = json!("role_write"))),
)]
pub(super) async fn logical_database_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<DatabaseId>,
    IdempotencyKey(request): IdempotencyKey,
    prefer: Prefer,
    ValidJson(input): ValidJson<LogicalDatabaseCreate>,
) -> Result<(StatusCode, Json<LogicalDatabaseChanged>), AppError> {
    let request = request.as_ref();
    let mut made =
        logical_database::logical_database_create(&platform, &caller, id, request, input).await?;
    let hold = Hold::new(&platform, &caller, prefer);
    hold.operation(&mut made.operation).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
