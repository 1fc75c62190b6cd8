//! What became of a request that did not succeed.

use stripe::StripeError;

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The bank said no; nothing was paid. The same key gives the same answer for a day.
    #[error("the payment was refused: {message}")]
    Declined {
        /// `card_declined`, `expired_card`, …
        code: String,
        decline_code: Option<String>,
        message: String,
    },
    /// The request is wrong, or the object is not in a state for it; nothing was done.
    #[error("refused with status {status} ({code}): {message}")]
    Refused {
        status: u16,
        code: String,
        message: String,
    },
    /// Too many requests, or the account's key is not accepted; nothing was done.
    #[error("not served with status {status}: {message}")]
    NotServed { status: u16, message: String },
    /// It may have been done or not: to be sent again by the same key, or looked up.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

impl From<StripeError> for Failure {
    fn from(error: StripeError) -> Self {
        let (error, status) = match error {
            StripeError::Stripe(error, status) => (error, status),
            other => return Self::Unknown(other.to_string()),
        };
        let code = error.code.map(|code| code.to_string()).unwrap_or_default();
        let message = error.message.unwrap_or_default();
        match status {
            402 => Self::Declined {
                code,
                decline_code: error.decline_code,
                message,
            },
            401 | 403 | 429 => Self::NotServed { status, message },
            // 409: the same key is being worked on.
            409 | 500.. => Self::Unknown(format!("status {status}: {message}")),
            _ => Self::Refused {
                status,
                code,
                message,
            },
        }
    }
}
