//! Errors as a caller sees them: a closed list of problem types (RFC 9457).

use crate::store::StoreError;
use lumadb_contract::id::OperationId;

/// A field of the request, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// As the request spells it, such as `milli_vcpu`.
    pub field: String,
    pub message: String,
}

/// What went wrong, by kind. The text of [`AppError::Rejected`] is written for the caller;
/// everything else that goes wrong is told as `internal` or `unavailable` and logged in full.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{problem:?}: {detail}")]
    Rejected {
        problem: ProblemType,
        detail: String,
        errors: Vec<FieldError>,
        /// Seconds after which the same call may succeed.
        retry_after_seconds: Option<u32>,
        operation: Option<OperationId>,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Closed list of problem types; each has a stable URI `/problems/<slug>` and one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemType {
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    EmailNotVerified,
    NotFound,
    MethodNotAllowed,
    Timeout,
    Conflict,
    DeletionProtected,
    QuotaExceeded,
    Gone,
    PreconditionFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    IdempotencyMismatch,
    RestoreTarget,
    RateLimited,
    Internal,
    Unavailable,
}

impl ProblemType {
    pub const ALL: [Self; 19] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::EmailNotVerified,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::Conflict,
        Self::DeletionProtected,
        Self::QuotaExceeded,
        Self::Gone,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::IdempotencyMismatch,
        Self::RestoreTarget,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    /// Last part of the type's URI, HTTP status, title.
    pub const fn describe(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::InvalidRequest => ("invalid_request", 400, "The request is not valid"),
            Self::Unauthenticated => ("unauthenticated", 401, "Log in first"),
            Self::Forbidden => ("forbidden", 403, "You may not do this"),
            Self::EmailNotVerified => (
                "email_not_verified",
                403,
                "The e-mail address is not verified yet",
            ),
            Self::NotFound => ("not_found", 404, "There is no such thing"),
            Self::MethodNotAllowed => {
                ("method_not_allowed", 405, "This method is not allowed here")
            }
            Self::Timeout => ("timeout", 504, "This took too long"),
            Self::Conflict => ("conflict", 409, "This does not fit the present state"),
            Self::DeletionProtected => (
                "deletion_protected",
                409,
                "Deletion protection is switched on",
            ),
            Self::QuotaExceeded => ("quota_exceeded", 409, "The plan's limit is reached"),
            Self::Gone => ("gone", 410, "This was used already or has expired"),
            Self::PreconditionFailed => {
                ("precondition_failed", 412, "It was changed in the meantime")
            }
            Self::PayloadTooLarge => ("payload_too_large", 413, "The request is too large"),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415, "The body must be JSON"),
            Self::IdempotencyMismatch => (
                "idempotency_mismatch",
                422,
                "This key was used for another request",
            ),
            Self::RestoreTarget => (
                "restore_target",
                422,
                "The database cannot be restored to this",
            ),
            Self::RateLimited => ("rate_limited", 429, "Too many requests"),
            Self::Internal => ("internal", 500, "Something went wrong on our side"),
            Self::Unavailable => ("unavailable", 503, "Not available right now"),
        }
    }
}

impl AppError {
    pub fn rejected(problem: ProblemType, detail: impl Into<String>) -> Self {
        Self::Rejected {
            problem,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            operation: None,
        }
    }

    /// One field of the request is wrong.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::field_of(ProblemType::InvalidRequest, field, message)
    }

    /// One field of the request is why there is this problem.
    pub fn field_of(
        problem: ProblemType,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let error = FieldError {
            field: field.into(),
            message: message.into(),
        };
        Self::Rejected {
            problem,
            detail: format!("{}: {}", error.field, error.message),
            errors: vec![error],
            retry_after_seconds: None,
            operation: None,
        }
    }

    /// Also the answer for what exists but is somebody else's.
    pub fn not_found(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::rejected(ProblemType::NotFound, format!("There is no {kind} {id}."))
    }

    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    pub fn problem(&self) -> ProblemType {
        match self {
            Self::Rejected { problem, .. } => *problem,
            Self::Store(error) if error.is_transient() => ProblemType::Unavailable,
            Self::Store(_) | Self::Internal(_) => ProblemType::Internal,
        }
    }
}
