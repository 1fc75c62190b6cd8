use crate::app::billing::{Asked, ChangeQuote, DryRun};
use crate::app::database::{self, DatabaseCreate, DatabaseCreated};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, IdempotencyKey, PathId, Prefer, ValidJson, ValidQuery};
use crate::http::hold::Hold;
use crate::http::tagged::Tagged;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
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
    params(("project_id" = ProjectId, Path), DryRun, ("Idempotency-Key" = Option<String>, Header, description = "Names this request, so that it may be sent again."), ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    request_body = DatabaseCreate,
    responses((status = 201, description = "Created.", body = DatabaseCreated), (status = 200, description = "What it would cost, if only that was asked.", body = ChangeQuote)),
    extensions(("x-action" = json!("database_write"))),
)]
pub(super) async fn database_create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<ProjectId>,
    IdempotencyKey(request): IdempotencyKey,
    prefer: Prefer,
    ValidQuery(query): ValidQuery<DryRun>,
    ValidJson(input): ValidJson<DatabaseCreate>,
) -> Result<Response, AppError> {
    let request = request.as_ref();
    let dry_run = query.dry_run;
    let asked = database::database_create(&platform, &caller, id, request, dry_run, input).await?;
    let mut made = match asked {
        Asked::Done(made) => made,
        Asked::Quoted(quote) => return Ok(Json(quote).into_response()),
    };
    let hold = Hold::new(&platform, &caller, prefer);
    hold.database(Some(&mut made.operation), &mut made.database)
        .await?;
    Ok((StatusCode::CREATED, Tagged(made.database.revision, made)).into_response())
}
