//! Answers that are errors, in Stripe's shape.

use serde_json::{Value, json};

/// What a request is answered with when it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    decline_code: Option<&'static str>,
    param: Option<String>,
    message: String,
    /// Whether the request was executed: then its key keeps this answer.
    pub(crate) executed: bool,
}

impl ApiError {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            decline_code: None,
            param: None,
            message: message.into(),
            executed: false,
        }
    }

    /// A parameter is wrong; nothing was executed.
    pub(crate) fn parameter(
        code: &'static str,
        param: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: Some(code),
            param: Some(param.into()),
            ..Self::new(400, "invalid_request_error", message)
        }
    }

    pub(crate) fn missing(kind: &str, id: &str) -> Self {
        Self {
            code: Some("resource_missing"),
            param: Some(kind.to_owned()),
            ..Self::new(
                404,
                "invalid_request_error",
                format!("No such {kind}: '{id}'"),
            )
        }
    }

    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        Self::new(
            404,
            "invalid_request_error",
            format!("Unrecognized request URL ({method}: {path})."),
        )
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "invalid_request_error", "Invalid API Key provided")
    }

    /// The object is in a state that does not allow it.
    pub(crate) fn state(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            executed: true,
            ..Self::new(400, "invalid_request_error", message)
        }
    }

    /// The bank said no.
    pub(crate) fn card(code: &'static str, decline_code: Option<&'static str>) -> Self {
        let message = match code {
            "expired_card" => "Your card has expired.",
            "invoice_payment_intent_requires_action" => {
                "This payment requires additional user action before it can be completed \
                 successfully."
            }
            _ if decline_code == Some("insufficient_funds") => "Your card has insufficient funds.",
            _ => "Your card was declined.",
        };
        Self {
            code: Some(code),
            decline_code,
            executed: true,
            ..Self::new(402, "card_error", message)
        }
    }

    /// A key came again with other parameters.
    pub(crate) fn key_reused(key: &str) -> Self {
        Self::new(
            400,
            "idempotency_error",
            format!(
                "Keys for idempotent requests can only be used with the same parameters they were \
                 first used with. Try using a key other than '{key}' if you meant to execute a \
                 different request."
            ),
        )
    }

    pub(crate) fn too_many() -> Self {
        Self {
            code: Some("rate_limit"),
            ..Self::new(429, "invalid_request_error", "Request rate limit exceeded.")
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, "api_error", "An unknown error occurred")
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.code {
            error["code"] = code.into();
        }
        if let Some(code) = self.decline_code {
            error["decline_code"] = code.into();
        }
        if let Some(param) = &self.param {
            error["param"] = param.as_str().into();
        }
        json!({ "error": error })
    }
}
