//! Paying: charges, refunds, disputes, and what they move on the account.

use super::Call;
use super::invoice::{must_be, settle};
use super::list::Page;
use crate::cards::Behavior;
use crate::error::ApiError;
use crate::shapes::{integer, set, text};
use serde_json::{Value, json};

/// What a bank takes for a dispute, cents.
const DISPUTE_FEE: i64 = 1500;

/// How a payment ended.
#[derive(Debug)]
pub(crate) enum Paid {
    Yes(Value),
    No(ApiError),
}

pub(super) fn pay(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let method = call.params.text("payment_method")?;
    let out_of_band = call.params.flag("paid_out_of_band")?.unwrap_or(false);
    call.params.flag("off_session")?;
    call.params_end()?;
    let mut invoice = call.state.get("invoice", id)?;
    if invoice["status"] == "paid" {
        return Err(ApiError::state(
            "invoice_already_paid",
            "Invoice is already paid",
        ));
    }
    must_be(&invoice, &["open", "uncollectible"], "paid")?;
    if out_of_band {
        let due = invoice["amount_due"].clone();
        set(
            &mut invoice,
            [
                ("amount_paid_off_stripe", due.clone()),
                ("amount_paid", due),
            ],
        );
        settle(call, &mut invoice);
        return Ok(invoice);
    }
    match invoice_pay(call, id, method, false)? {
        Paid::Yes(invoice) => Ok(invoice),
        Paid::No(error) => Err(error),
    }
}

/// Pays an open invoice with a card; `approved`: its holder has just told the bank so.
pub(crate) fn invoice_pay(
    call: &mut Call<'_>,
    id: &str,
    method: Option<String>,
    approved: bool,
) -> Result<Paid, ApiError> {
    let mut invoice = call.state.get("invoice", id)?;
    must_be(&invoice, &["open", "uncollectible"], "paid")?;
    let customer = call.state.get("customer", &text(&invoice, "customer"))?;
    let default = customer["invoice_settings"]["default_payment_method"].as_str();
    let named = invoice["default_payment_method"].as_str().or(default);
    let method = method.or_else(|| named.map(str::to_owned));
    let Some(method) = method else {
        let message = "This customer has no attached payment source or default payment method. \
                       Please consider adding a default payment method.";
        return Err(ApiError::state("resource_missing", message));
    };
    let found = call.state.get("payment_method", &method)?;
    if found["customer"] != customer["id"] {
        return Err(ApiError::missing("payment_method", &method));
    }
    let behavior = call.state.behavior(&method);
    let amount = integer(&invoice, "amount_remaining");
    let attempts = integer(&invoice, "attempt_count") + 1;
    set(
        &mut invoice,
        [
            ("attempt_count", attempts.into()),
            ("attempted", true.into()),
        ],
    );
    let intent = call.state.make(
        "payment_intent",
        "pi",
        call.now,
        [
            ("amount", amount.into()),
            ("currency", invoice["currency"].clone()),
            ("customer", customer["id"].clone()),
            ("payment_method", method.clone().into()),
            ("payment_method_types", json!(["card"])),
            ("status", "requires_payment_method".into()),
        ],
    );
    let refused = if behavior == Behavior::AskedAlways && !approved {
        Some(ApiError::card(
            "invoice_payment_intent_requires_action",
            None,
        ))
    } else {
        let error = behavior.charge_error();
        error.map(|(code, decline_code)| ApiError::card(code, decline_code))
    };
    if let Some(error) = refused {
        refuse(call, &invoice, intent, behavior);
        return Ok(Paid::No(error));
    }
    let charge = charge(call, &intent, &invoice);
    set(
        &mut invoice,
        [
            ("amount_paid", amount.into()),
            ("amount_remaining", 0.into()),
        ],
    );
    // Where a refund finds it; Stripe tells it by the invoice's payments.
    invoice["charge"] = charge["id"].clone();
    settle(call, &mut invoice);
    if behavior == Behavior::Disputed {
        dispute(call, &charge);
    }
    Ok(Paid::Yes(invoice))
}

fn refuse(call: &mut Call<'_>, invoice: &Value, mut intent: Value, behavior: Behavior) {
    call.state.put(invoice);
    let event = if behavior == Behavior::AskedAlways {
        set(&mut intent, [("status", "requires_action".into())]);
        "invoice.payment_action_required"
    } else {
        "invoice.payment_failed"
    };
    call.state.put(&intent);
    call.state.event(event, invoice, call.now);
}

/// A charge that was paid.
fn charge(call: &mut Call<'_>, intent: &Value, invoice: &Value) -> Value {
    let amount = integer(intent, "amount");
    let mut charge = call.state.make(
        "charge",
        "ch",
        call.now,
        [
            ("amount", amount.into()),
            ("amount_captured", amount.into()),
            ("captured", true.into()),
            ("currency", intent["currency"].clone()),
            ("customer", intent["customer"].clone()),
            ("payment_intent", intent["id"].clone()),
            ("payment_method", intent["payment_method"].clone()),
            ("description", invoice["number"].clone()),
            ("paid", true.into()),
            ("status", "succeeded".into()),
        ],
    );
    // 2.9 % and 30 cents.
    let fee = (amount * 29 + 500) / 1000 + 30;
    let transaction = transaction(call, "charge", &charge["id"], amount, fee);
    set(&mut charge, [("balance_transaction", transaction)]);
    call.state.put(&charge);
    let mut intent = intent.clone();
    set(
        &mut intent,
        [
            ("status", "succeeded".into()),
            ("amount_received", amount.into()),
            ("latest_charge", charge["id"].clone()),
        ],
    );
    call.state.put(&intent);
    call.state.event("charge.succeeded", &charge, call.now);
    charge
}

/// Moves money on the account; its identifier.
fn transaction(call: &mut Call<'_>, kind: &str, source: &Value, amount: i64, fee: i64) -> Value {
    let transaction = call.state.make(
        "balance_transaction",
        "txn",
        call.now,
        [
            ("type", kind.into()),
            ("reporting_category", kind.into()),
            ("source", source.clone()),
            ("amount", amount.into()),
            ("fee", fee.into()),
            ("net", (amount - fee).into()),
            ("currency", "usd".into()),
            ("available_on", call.now.into()),
            ("status", "available".into()),
            ("balance_type", "payments".into()),
        ],
    );
    transaction["id"].clone()
}

pub(super) fn charge_list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    let customer = call.params.text("customer")?;
    call.params_end()?;
    let all = call.state.all("charge");
    let fitting = all.filter(|c| customer.as_deref().is_none_or(|id| c["customer"] == id));
    Ok(page.of("/v1/charges", fitting))
}

pub(super) fn refund_create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let params = &mut call.params;
    let charge = params.need_text("charge")?;
    let amount = params.integer("amount")?;
    let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
    let reason = params.one_of("reason", &reasons)?;
    let metadata = params.metadata()?;
    call.params_end()?;
    let found = call.state.get("charge", &charge)?;
    let left = integer(&found, "amount") - integer(&found, "amount_refunded");
    let mut refund = refund(call, &charge, amount.unwrap_or(left))?;
    set(
        &mut refund,
        [("reason", reason.into()), ("metadata", metadata.into())],
    );
    call.state.put(&refund);
    Ok(refund)
}

/// Gives a part of a charge back.
pub(super) fn refund(call: &mut Call<'_>, charge: &str, amount: i64) -> Result<Value, ApiError> {
    let mut charge = call.state.get("charge", charge)?;
    let refunded = integer(&charge, "amount_refunded") + amount;
    if amount <= 0 || refunded > integer(&charge, "amount") {
        let message = "Refund amount is greater than unrefunded amount on charge";
        return Err(ApiError::parameter("amount_too_large", "amount", message));
    }
    let mut refund = call.state.make(
        "refund",
        "re",
        call.now,
        [
            ("amount", amount.into()),
            ("charge", charge["id"].clone()),
            ("payment_intent", charge["payment_intent"].clone()),
            ("currency", charge["currency"].clone()),
            ("status", "succeeded".into()),
        ],
    );
    let transaction = transaction(call, "refund", &refund["id"], -amount, 0);
    set(&mut refund, [("balance_transaction", transaction)]);
    call.state.put(&refund);
    let whole = refunded == integer(&charge, "amount");
    set(
        &mut charge,
        [
            ("amount_refunded", refunded.into()),
            ("refunded", whole.into()),
        ],
    );
    call.state.put(&charge);
    call.state.event("refund.created", &refund, call.now);
    call.state.event("charge.refunded", &charge, call.now);
    Ok(refund)
}

pub(super) fn refund_list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    let charge = call.params.text("charge")?;
    call.params_end()?;
    let all = call.state.all("refund");
    let fitting = all.filter(|r| charge.as_deref().is_none_or(|id| r["charge"] == id));
    Ok(page.of("/v1/refunds", fitting))
}

/// A holder disputes a charge: the bank takes the money back at once.
fn dispute(call: &mut Call<'_>, charge: &Value) {
    let dispute = call.state.make(
        "dispute",
        "dp",
        call.now,
        [
            ("amount", charge["amount"].clone()),
            ("charge", charge["id"].clone()),
            ("payment_intent", charge["payment_intent"].clone()),
            ("currency", charge["currency"].clone()),
            ("reason", "fraudulent".into()),
            ("status", "needs_response".into()),
        ],
    );
    let mut charge = charge.clone();
    set(&mut charge, [("disputed", true.into())]);
    call.state.put(&charge);
    let amount = integer(&dispute, "amount");
    transaction(call, "adjustment", &dispute["id"], -amount, DISPUTE_FEE);
    call.state
        .event("charge.dispute.created", &dispute, call.now);
    call.state
        .event("charge.dispute.funds_withdrawn", &dispute, call.now);
}

pub(super) fn dispute_list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    call.params_end()?;
    Ok(page.of("/v1/disputes", call.state.all("dispute")))
}

/// Accepts that it is lost.
pub(super) fn dispute_close(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    call.params_end()?;
    dispute_end(call, id, false)
}

/// Ends a dispute; a won one gives the money back.
pub(crate) fn dispute_end(call: &mut Call<'_>, id: &str, won: bool) -> Result<Value, ApiError> {
    let mut dispute = call.state.get("dispute", id)?;
    if dispute["status"] != "needs_response" {
        let message = "This dispute is already closed.";
        return Err(ApiError::state("dispute_closed", message));
    }
    let status = if won { "won" } else { "lost" };
    set(&mut dispute, [("status", status.into())]);
    call.state.put(&dispute);
    if won {
        let amount = integer(&dispute, "amount");
        transaction(call, "adjustment", &dispute["id"], amount, 0);
        call.state
            .event("charge.dispute.funds_reinstated", &dispute, call.now);
    }
    call.state
        .event("charge.dispute.closed", &dispute, call.now);
    Ok(dispute)
}
