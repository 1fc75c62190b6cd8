//! Checkout in setup mode: a page on which a customer saves a card.

use super::Call;
use crate::cards::{Behavior, TestCard};
use crate::error::ApiError;
use crate::shapes::{set, text};
use crate::state::State;
use serde_json::{Value, json};

/// How long a session is open, seconds.
const OPEN_SECONDS: i64 = 24 * 3600;

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let params = &mut call.params;
    let mode = params.one_of("mode", &["setup"])?;
    if mode.is_none() {
        return Err(params.missing("mode"));
    }
    let customer = params.need_text("customer")?;
    let success_url = params.need_text("success_url")?;
    let cancel_url = params.text("cancel_url")?;
    let reference = params.text("client_reference_id")?;
    let currency = params.text("currency")?;
    let types = params.texts("payment_method_types")?;
    if currency.is_none() && types.is_empty() {
        return Err(params.missing("currency"));
    }
    let metadata = params.metadata()?;
    let mut intent = params.object("setup_intent_data")?.unwrap_or_default();
    let description = intent.text("description")?;
    let intent_metadata = intent.metadata()?;
    intent.finish()?;
    call.params_end()?;
    call.state.get("customer", &customer)?;
    let intent = call.state.make(
        "setup_intent",
        "seti",
        call.now,
        [
            ("customer", customer.clone().into()),
            ("description", description.into()),
            ("metadata", intent_metadata.into()),
            ("payment_method_types", json!(["card"])),
            ("status", "requires_payment_method".into()),
            ("usage", "off_session".into()),
        ],
    );
    let mut session = call.state.make(
        "checkout.session",
        "cs_test",
        call.now,
        [
            ("mode", "setup".into()),
            ("customer", customer.into()),
            ("setup_intent", intent["id"].clone()),
            ("success_url", success_url.into()),
            ("cancel_url", cancel_url.into()),
            ("client_reference_id", reference.into()),
            ("currency", currency.into()),
            ("metadata", metadata.into()),
            ("payment_method_types", json!(["card"])),
            ("payment_status", "no_payment_required".into()),
            ("status", "open".into()),
            ("expires_at", (call.now + OPEN_SECONDS).into()),
        ],
    );
    let url = format!("{}/pay/{}", call.public_url, text(&session, "id"));
    set(&mut session, [("url", url.into())]);
    call.state.put(&session);
    Ok(session)
}

pub(super) fn expire(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut session = call.state.get("checkout.session", id)?;
    call.params_end()?;
    if session["status"] != "open" {
        let message = "Only Checkout Sessions with a status in [\"open\"] can be expired.";
        return Err(ApiError::state("checkout_session_not_open", message));
    }
    set(
        &mut session,
        [("status", "expired".into()), ("url", Value::Null)],
    );
    call.state.put(&session);
    call.state
        .event("checkout.session.expired", &session, call.now);
    Ok(session)
}

/// What a card that was typed in leads to.
#[derive(Debug)]
pub(crate) enum Setup {
    /// The address that the browser goes on to.
    Done(String),
    /// The bank asks the holder first.
    Ask,
    Refused(ApiError),
}

/// The card of a session was typed in; `approved`: its holder has told the bank that it was them.
pub(crate) fn setup_finish(
    state: &mut State,
    now: i64,
    session: &str,
    card: TestCard,
    approved: bool,
) -> Result<Setup, ApiError> {
    let mut session = state.get("checkout.session", session)?;
    if session["status"] != "open" || now > session["expires_at"].as_i64().unwrap_or_default() {
        let message = "This page is no longer open.";
        return Err(ApiError::state("checkout_session_not_open", message));
    }
    let mut intent = state.get("setup_intent", &text(&session, "setup_intent"))?;
    if let Some((code, decline_code)) = card.behavior.setup_error() {
        let error = ApiError::card(code, decline_code);
        set(
            &mut intent,
            [("last_setup_error", error.to_json()["error"].clone())],
        );
        state.put(&intent);
        state.event("setup_intent.setup_failed", &intent, now);
        return Ok(Setup::Refused(error));
    }
    let asks = matches!(card.behavior, Behavior::AskedOnce | Behavior::AskedAlways);
    if asks && !approved {
        set(&mut intent, [("status", "requires_action".into())]);
        state.put(&intent);
        state.event("setup_intent.requires_action", &intent, now);
        return Ok(Setup::Ask);
    }
    let method = state.card_make(card, &text(&session, "customer"), now);
    set(
        &mut intent,
        [
            ("status", "succeeded".into()),
            ("payment_method", method["id"].clone()),
            ("last_setup_error", Value::Null),
        ],
    );
    state.put(&intent);
    state.event("setup_intent.succeeded", &intent, now);
    set(
        &mut session,
        [("status", "complete".into()), ("url", Value::Null)],
    );
    state.put(&session);
    state.event("checkout.session.completed", &session, now);
    let url = text(&session, "success_url");
    Ok(Setup::Done(
        url.replace("{CHECKOUT_SESSION_ID}", &text(&session, "id")),
    ))
}

/// A card that was typed in on the page of the Customer Portal.
pub(crate) fn portal_card_add(
    state: &mut State,
    now: i64,
    customer: &str,
    card: TestCard,
) -> Result<(), ApiError> {
    if let Some((code, decline_code)) = card.behavior.setup_error() {
        return Err(ApiError::card(code, decline_code));
    }
    let method = state.card_make(card, customer, now);
    super::set_default(state, customer, &text(&method, "id"), now);
    Ok(())
}
