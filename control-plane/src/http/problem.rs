//! Errors as they leave: problem documents (RFC 9457). What is not meant for the caller is logged
//! here, once, and told as `internal` or `unavailable`.

use crate::app::{AppError, FieldError, ProblemType};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use lumadb_contract::id::OperationId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Seconds after which a client may try again when we are not available.
const UNAVAILABLE_RETRY_SECONDS: u32 = 2;

pub const CONTENT_TYPE_PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

tokio::task_local! {
    /// Identifier of the request that this task answers.
    pub static REQUEST_ID: Uuid;
}

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Stable name of the kind of problem, such as `/problems/not_found`.
    #[serde(rename = "type")]
    #[schema(examples("/problems/not_found"))]
    kind: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: String,
    /// Names this very occurrence: quote it when you ask for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemField>,
    /// The operation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<OperationId>,
}

/// A field of the request, and what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemField {
    field: String,
    message: String,
}

impl From<FieldError> for ProblemField {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field,
            message: error.message,
        }
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let kind = self.problem();
        match &self {
            Self::Rejected { .. } => {}
            Self::Store(_) | Self::Internal(_) => {
                tracing::error!(error = chain(&self), "a request failed");
            }
        }
        let (slug, status, title) = kind.describe();
        let mut problem = Problem {
            kind: format!("/problems/{slug}"),
            title,
            status,
            detail: "It is logged, and we will look into it.".into(),
            instance: REQUEST_ID.try_with(|id| format!("urn:uuid:{id}")).ok(),
            errors: Vec::new(),
            operation_id: None,
        };
        let mut retry_after = None;
        if let Self::Rejected {
            detail,
            errors,
            retry_after_seconds,
            operation,
            ..
        } = self
        {
            problem.detail = detail;
            problem.errors = errors.into_iter().map(ProblemField::from).collect();
            problem.operation_id = operation;
            retry_after = retry_after_seconds;
        } else if kind == ProblemType::Unavailable {
            problem.detail = "Try again in a moment.".into();
            retry_after = Some(UNAVAILABLE_RETRY_SECONDS);
        }
        respond(&problem, retry_after)
    }
}

fn respond(problem: &Problem, retry_after_seconds: Option<u32>) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = (status, body).into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, CONTENT_TYPE_PROBLEM);
    if let Some(seconds) = retry_after_seconds {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An error and its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
