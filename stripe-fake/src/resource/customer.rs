//! Customers.

use super::Call;
use super::list::Page;
use crate::error::ApiError;
use crate::shapes::set;
use serde_json::{Value, json};

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let changes = read(call)?;
    call.params_end()?;
    let prefix = call.state.new_id("FAKE");
    let mut customer = call.state.make("customer", "cus", call.now, []);
    set(&mut customer, [("invoice_prefix", prefix.into())]);
    apply(&mut customer, changes);
    call.state.put(&customer);
    call.state.event("customer.created", &customer, call.now);
    Ok(customer)
}

pub(super) fn update(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut customer = call.state.get("customer", id)?;
    let changes = read(call)?;
    if let Some(method) = &changes.default_payment_method {
        let method = call.state.get("payment_method", method)?;
        if method["customer"] != id {
            let message = "The customer does not have a payment method with this ID. The payment \
                           method must be attached to the customer.";
            return Err(ApiError::parameter(
                "resource_missing",
                "invoice_settings[default_payment_method]",
                message,
            ));
        }
    }
    call.params_end()?;
    apply(&mut customer, changes);
    call.state.put(&customer);
    call.state.event("customer.updated", &customer, call.now);
    Ok(customer)
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    let email = call.params.text("email")?;
    call.params_end()?;
    let all = call.state.all("customer");
    let fitting = all.filter(|c| email.as_deref().is_none_or(|email| c["email"] == email));
    Ok(page.of("/v1/customers", fitting))
}

/// Searches by one value of metadata: `metadata['name']:'value'`.
pub(super) fn search(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let query = call.params.need_text("query")?;
    let page = Page::read(&mut call.params)?;
    call.params_end()?;
    let read = || {
        let rest = query.strip_prefix("metadata['")?.strip_suffix('\'')?;
        rest.split_once("']:'")
    };
    let (name, value) = read().ok_or_else(|| {
        let message = "This server searches by one value of metadata alone.";
        ApiError::parameter("parameter_invalid", "query", message)
    })?;
    let all = call.state.all("customer");
    let fitting = all.filter(|customer| customer["metadata"][name] == value);
    let mut found = page.of("/v1/customers/search", fitting);
    found["object"] = "search_result".into();
    found["next_page"] = Value::Null;
    Ok(found)
}

#[derive(Debug)]
struct Changes {
    fields: Vec<(&'static str, Value)>,
    metadata: serde_json::Map<String, Value>,
    default_payment_method: Option<String>,
}

fn read(call: &mut Call<'_>) -> Result<Changes, ApiError> {
    let params = &mut call.params;
    let mut fields = Vec::new();
    for name in ["email", "name", "description", "phone"] {
        if let Some(text) = params.text(name)? {
            fields.push((
                name,
                if text.is_empty() {
                    Value::Null
                } else {
                    text.into()
                },
            ));
        }
    }
    if let Some(mut address) = params.object("address")? {
        let mut read = json!({});
        for name in ["line1", "line2", "city", "state", "postal_code", "country"] {
            read[name] = address.text(name)?.into();
        }
        address.finish()?;
        fields.push(("address", read));
    }
    let mut settings = params.object("invoice_settings")?.unwrap_or_default();
    let default_payment_method = settings.text("default_payment_method")?;
    settings.finish()?;
    let metadata = params.metadata()?;
    Ok(Changes {
        fields,
        metadata,
        default_payment_method,
    })
}

fn apply(customer: &mut Value, changes: Changes) {
    for (name, value) in changes.fields {
        customer[name] = value;
    }
    for (name, value) in changes.metadata {
        customer["metadata"][name] = value;
    }
    if let Some(method) = changes.default_payment_method {
        customer["invoice_settings"]["default_payment_method"] = method.into();
    }
}
