//! Webhooks: signed, and brought until they are taken.

use crate::server::Fake;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Attempts for one webhook.
const ATTEMPTS_MAX: u32 = 12;

/// Time for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// First pause between two attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(250);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The header `Stripe-Signature` of a body.
pub fn signature(secret: &str, at: i64, body: &[u8]) -> String {
    // A key of any length is accepted.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
    format!("t={at},v1={signature}")
}

/// Brings webhooks, for ever.
pub(crate) async fn run(fake: Fake) {
    let Some(url) = fake.webhook_url().map(str::to_owned) else {
        return std::future::pending().await;
    };
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let mut failures = 0_u32;
    loop {
        let Some((event, body, signature)) = fake.delivery_next() else {
            fake.delivery_added().await;
            continue;
        };
        let taken = bring(&client, &url, body, &signature).await;
        let gave_up = fake.delivery_tried(&event, taken, ATTEMPTS_MAX);
        if taken {
            failures = 0;
        } else {
            if gave_up {
                tracing::warn!(event, "a webhook is given up");
            }
            failures = failures.saturating_add(1);
            sleep((PAUSE * 2_u32.saturating_pow(failures.min(10))).min(PAUSE_MAX)).await;
        }
    }
}

async fn bring(
    client: &Client<HttpConnector, Full<Bytes>>,
    url: &str,
    body: Bytes,
    signature: &str,
) -> bool {
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::USER_AGENT, "Stripe/1.0")
        .header("stripe-signature", signature)
        .body(Full::new(body));
    let Ok(request) = request else {
        tracing::error!(url, "not an address for webhooks");
        return false;
    };
    match timeout(ANSWER_TIMEOUT, client.request(request)).await {
        Ok(Ok(answer)) if answer.status().is_success() => true,
        Ok(Ok(answer)) => {
            tracing::debug!(status = %answer.status(), "a webhook was refused");
            false
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a webhook was not taken");
            false
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::signature;

    #[test]
    fn a_signature_is_of_time_and_body() {
        // Calculated with `openssl dgst -sha256 -hmac`.
        let signed = signature("whsec_test", 1_700_000_000, b"{}");
        assert!(signed.starts_with("t=1700000000,v1="), "{signed}");
        assert_ne!(signed, signature("whsec_test", 1_700_000_001, b"{}"));
        assert_ne!(signed, signature("whsec_other", 1_700_000_000, b"{}"));
    }
}
