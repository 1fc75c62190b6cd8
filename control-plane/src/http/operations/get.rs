use crate::app::operation::{self, Operation};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId, Prefer, ValidQuery, WAIT_SECONDS_MAX};
use axum::Json;
use axum::extract::State;
use lumadb_contract::id::OperationId;
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// How patient the caller is.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OperationQuery {
    /// Seconds to hold the answer until the operation ends.
    #[param(minimum = 0, maximum = 60)]
    pub wait: Option<u32>,
}

/// Get an operation
#[utoipa::path(
    get,
    path = "/v1/operations/{operation_id}",
    tag = "operations",
    operation_id = "operation_get",
    params(("operation_id" = OperationId, Path), OperationQuery, ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer until the operation ends, at most N ≤ 60 seconds.")),
    responses((status = 200, description = "The operation.", body = Operation)),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn operation_get(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OperationId>,
    prefer: Prefer,
    ValidQuery(query): ValidQuery<OperationQuery>,
) -> Result<Json<Operation>, AppError> {
    let wait = query.wait.or(prefer.wait_seconds).unwrap_or(0);
    if wait > WAIT_SECONDS_MAX {
        return Err(AppError::field(
            "wait",
            format!("is 0 to {WAIT_SECONDS_MAX}"),
        ));
    }
    let longest = Duration::from_secs(u64::from(wait));
    operation::operation_get(&platform, &caller, id, longest)
        .await
        .map(Json)
}
