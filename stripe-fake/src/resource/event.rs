//! Events: what happened, the latest first.

use super::Call;
use super::list::Page;
use crate::error::ApiError;
use serde_json::Value;

/// Events are kept so long, seconds.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    let types = call.params.texts("types")?;
    let kind = call.params.text("type")?;
    call.params_end()?;
    let oldest = call.now - KEPT_SECONDS;
    let all = call.state.all("event").filter(|event| {
        let name = event["type"].as_str().unwrap_or_default();
        let named = types.is_empty() || types.iter().any(|wanted| wanted == name);
        let young = event["created"].as_i64().unwrap_or_default() >= oldest;
        named && young && kind.as_deref().is_none_or(|kind| kind == name)
    });
    Ok(page.of("/v1/events", all))
}
