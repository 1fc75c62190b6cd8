use crate::app::operation::{self, Operation};
use crate::app::{AppError, Platform};
use crate::http::extract::{Authenticated, PathId};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, TryStreamExt as _};
use lumadb_contract::id::OperationId;
use std::time::Duration;

/// Follow an operation
///
/// Server-sent events: `operation`, whose data is the operation, now and at each change; the stream
/// ends behind the final state.
#[utoipa::path(
    get,
    path = "/v1/operations/{operation_id}/events",
    tag = "operations",
    operation_id = "operation_events",
    params(("operation_id" = OperationId, Path)),
    responses((status = 200, description = "A stream of events, each holding an operation.", body = Operation, content_type = "text/event-stream")),
    extensions(("x-action" = json!("database_read"))),
)]
pub(super) async fn operation_events(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<OperationId>,
) -> Result<Sse<impl Stream<Item = Result<Event, axum::Error>>>, AppError> {
    let states = operation::operation_events(&platform, &caller, id).await?;
    let events = states
        .map_err(axum::Error::new)
        .and_then(|state: Operation| async move {
            Event::default().event("operation").json_data(state)
        });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}
