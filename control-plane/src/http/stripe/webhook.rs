use crate::app::{AppError, Platform};
use crate::collect::{self, Collector};
use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Take what Stripe pushes
///
/// Believed by the header `Stripe-Signature` alone. What came before changes nothing.
#[utoipa::path(
    post,
    path = "/v1/stripe/webhook",
    tag = "billing",
    operation_id = "stripe_webhook",
    params(("Stripe-Signature" = String, Header, description = "Time and signatures of the body.")),
    request_body(content = String, content_type = "application/json", description = "An event."),
    responses((status = 204, description = "It is stored.")),
    security(()),
    extensions(("x-action" = json!("public"))),
)]
pub(super) async fn stripe_webhook(
    State(platform): State<Platform>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, AppError> {
    let collector = Collector::of(&platform)?;
    let signature = headers.get("stripe-signature");
    let signature = signature.and_then(|value| value.to_str().ok());
    collect::receive(&collector, signature.unwrap_or_default(), &body).await?;
    Ok(StatusCode::NO_CONTENT)
}
