//! What the handlers share.

use crate::app::Platform;
use crate::http::metrics::Metrics;
use crate::http::rate_limit::RateLimiter;
use axum::extract::FromRef;
use std::sync::Arc;

/// State of every route; cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub platform: Platform,
    pub metrics: Arc<Metrics>,
    pub limiter: Arc<RateLimiter>,
}

impl ApiState {
    pub fn new(platform: Platform) -> Self {
        let limiter = RateLimiter::new(platform.settings.limits.requests_per_minute);
        Self {
            platform,
            metrics: Arc::new(Metrics::default()),
            limiter: Arc::new(limiter),
        }
    }
}

impl FromRef<ApiState> for Platform {
    fn from_ref(state: &ApiState) -> Self {
        state.platform.clone()
    }
}
