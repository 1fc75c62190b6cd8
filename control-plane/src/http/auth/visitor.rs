//! Somebody who is not known yet, as an extractor.

use crate::app::AppError;
use crate::app::account::Visitor;
use crate::http::extract::{ClientAddress, session_secret};
use crate::http::state::ApiState;
use axum::extract::FromRequestParts;
use http::header::USER_AGENT;
use http::request::Parts;

impl FromRequestParts<ApiState> for Visitor {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, AppError> {
        let ClientAddress(client_address) = ClientAddress::from_request_parts(parts, state).await?;
        let user_agent = parts.headers.get(USER_AGENT);
        Ok(Self {
            client_address,
            user_agent: user_agent
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            earlier_session: session_secret(&parts.headers, &state.platform.links),
        })
    }
}
