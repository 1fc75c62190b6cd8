//! Payment methods: test cards.

use super::Call;
use super::list::Page;
use crate::cards;
use crate::error::ApiError;
use crate::shapes::{set, text};
use crate::state::State;
use serde_json::{Value, json};

/// Attaches a card by its token, such as `pm_card_visa`.
pub(super) fn attach(call: &mut Call<'_>, token: &str) -> Result<Value, ApiError> {
    let customer = call.params.need_text("customer")?;
    call.params_end()?;
    call.state.get("customer", &customer)?;
    let card = cards::by_token(token).ok_or_else(|| ApiError::missing("payment_method", token))?;
    if let Some((code, decline_code)) = card.behavior.setup_error() {
        return Err(ApiError::card(code, decline_code));
    }
    Ok(call.state.card_make(card, &customer, call.now))
}

pub(crate) fn detach(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut method = call.state.get("payment_method", id)?;
    call.params_end()?;
    let customer = text(&method, "customer");
    if let Ok(mut owner) = call.state.get("customer", &customer)
        && owner["invoice_settings"]["default_payment_method"] == id
    {
        owner["invoice_settings"]["default_payment_method"] = Value::Null;
        call.state.put(&owner);
        call.state.event("customer.updated", &owner, call.now);
    }
    set(&mut method, [("customer", Value::Null)]);
    call.state.put(&method);
    call.state
        .event("payment_method.detached", &method, call.now);
    Ok(method)
}

pub(super) fn list(call: &mut Call<'_>, customer: &str) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    call.params.one_of("type", &["card"])?;
    call.params_end()?;
    call.state.get("customer", customer)?;
    let url = format!("/v1/customers/{customer}/payment_methods");
    let all = call.state.all("payment_method");
    Ok(page.of(&url, all.filter(|method| method["customer"] == customer)))
}

/// Makes a customer's card the one that invoices are paid with.
pub(crate) fn set_default(state: &mut State, customer: &str, method: &str, now: i64) {
    if let Ok(mut customer) = state.get("customer", customer) {
        customer["invoice_settings"] = json!({
            "custom_fields": null, "default_payment_method": method, "footer": null,
            "rendering_options": null,
        });
        state.put(&customer);
        state.event("customer.updated", &customer, now);
    }
}
