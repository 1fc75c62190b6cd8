//! The Customer Portal, and what moved on the account.

use super::Call;
use super::list::Page;
use crate::error::ApiError;
use crate::shapes::{set, text};
use serde_json::Value;

pub(super) fn portal_create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let customer = call.params.need_text("customer")?;
    let return_url = call.params.text("return_url")?;
    call.params_end()?;
    call.state.get("customer", &customer)?;
    let mut session = call.state.make(
        "billing_portal.session",
        "bps",
        call.now,
        [
            ("customer", customer.into()),
            ("return_url", return_url.into()),
            ("configuration", "bpc_00000000000000".into()),
        ],
    );
    let url = format!("{}/portal/{}", call.public_url, text(&session, "id"));
    set(&mut session, [("url", url.into())]);
    call.state.put(&session);
    Ok(session)
}

pub(super) fn transaction_list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    let kind = call.params.text("type")?;
    let source = call.params.text("source")?;
    call.params_end()?;
    let all = call.state.all("balance_transaction").filter(|transaction| {
        kind.as_deref()
            .is_none_or(|kind| transaction["type"] == kind)
            && source
                .as_deref()
                .is_none_or(|source| transaction["source"] == source)
    });
    Ok(page.of("/v1/balance_transactions", all))
}
