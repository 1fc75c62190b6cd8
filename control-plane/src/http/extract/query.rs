//! Query strings.

use crate::app::AppError;
use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// A query string that is what `T` says. Types that are read this way carry
/// `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone, Copy)]
pub struct ValidQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ValidQuery<T> {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, AppError> {
        Query::<T>::try_from_uri(&parts.uri)
            .map(|Query(value)| Self(value))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let message = text
                    .strip_prefix("Failed to deserialize query string: ")
                    .unwrap_or(&text);
                match message.split_once(": ") {
                    Some((field, message)) if !field.contains(' ') => {
                        AppError::field(field, message)
                    }
                    _ => AppError::field("query", message),
                }
            })
    }
}
