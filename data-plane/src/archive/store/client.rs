//! Makes the client.

use super::retry::{ATTEMPT_SECONDS, CONNECT_SECONDS};
use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use lumadb_contract::archive::ObjectStoreSpec;
use std::time::Duration;

pub(super) async fn client(spec: &ObjectStoreSpec) -> Client {
    let region = Region::new(spec.region.clone());
    let mut config = if let Some(given) = &spec.credentials {
        let token = given.session_token.as_ref();
        Builder::new().credentials_provider(Credentials::new(
            given.access_key_id.clone(),
            given.secret_access_key.expose(),
            token.map(|token| token.expose().to_owned()),
            None,
            "archive",
        ))
    } else {
        let found = aws_config::defaults(BehaviorVersion::latest()).region(region.clone());
        Builder::from(&found.load().await)
    };
    if let Some(endpoint) = &spec.endpoint {
        config = config.endpoint_url(endpoint);
    }
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
        .operation_attempt_timeout(Duration::from_secs(ATTEMPT_SECONDS))
        .build();
    let config = config
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .force_path_style(spec.path_style)
        // Other stores reject the checksums that the client otherwise adds to each request.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // We try again ourselves: what became of a write must be known, not guessed.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // A reader that waits for its own disk is no stalled server; reads have their own timeout.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}
