//! Credit notes: an invoice that is open owes less; of one that was paid, something is given back.

use super::Call;
use super::invoice::{must_be, settle};
use super::list::Page;
use super::payment::refund;
use crate::error::ApiError;
use crate::shapes::{integer, set, shape, text};
use serde_json::{Value, json};

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let id = call.params.need_text("invoice")?;
    let amount = call.params.integer("amount")?;
    let amount = amount.ok_or_else(|| call.params.missing("amount"))?;
    let refunded = call.params.integer("refund_amount")?.unwrap_or(0);
    let credited = call.params.integer("credit_amount")?.unwrap_or(0);
    let out_of_band = call.params.integer("out_of_band_amount")?.unwrap_or(0);
    let memo = call.params.text("memo")?;
    let reasons = [
        "duplicate",
        "fraudulent",
        "order_change",
        "product_unsatisfactory",
    ];
    let reason = call.params.one_of("reason", &reasons)?;
    let metadata = call.params.metadata()?;
    call.params_end()?;
    let mut invoice = call.state.get("invoice", &id)?;
    must_be(&invoice, &["open", "paid"], "credited")?;
    let credited_before = integer(&invoice, "pre_payment_credit_notes_amount")
        + integer(&invoice, "post_payment_credit_notes_amount");
    if amount <= 0 || credited_before + amount > integer(&invoice, "total") {
        let message = "The credit note is larger than what is left of the invoice.";
        return Err(ApiError::parameter("amount_too_large", "amount", message));
    }
    let is_paid = invoice["status"] == "paid";
    let post = refunded + credited + out_of_band;
    if (is_paid && post != amount) || (!is_paid && post != 0) {
        let message = "The sum of credit amount, refund amount and out of band amount must equal \
                       the part of the credit note that was paid.";
        return Err(ApiError::parameter("parameter_invalid", "amount", message));
    }
    let refunds = if refunded > 0 {
        let refund = refund(call, &text(&invoice, "charge"), refunded)?;
        json!([{ "refund": refund["id"], "amount_refunded": refunded, "type": "refund" }])
    } else {
        json!([])
    };
    if credited > 0 {
        let mut customer = call.state.get("customer", &text(&invoice, "customer"))?;
        let balance = integer(&customer, "balance") - credited;
        set(&mut customer, [("balance", balance.into())]);
        call.state.put(&customer);
    }
    let note = make(call, &invoice, amount, is_paid);
    let mut note = note;
    set(
        &mut note,
        [
            ("memo", memo.into()),
            ("reason", reason.into()),
            ("metadata", metadata.into()),
            ("out_of_band_amount", out_of_band.into()),
            ("refunds", refunds),
        ],
    );
    call.state.put(&note);
    let (field, kept) = if is_paid {
        ("post_payment_credit_notes_amount", amount)
    } else {
        ("pre_payment_credit_notes_amount", amount)
    };
    let sum = integer(&invoice, field) + kept;
    set(&mut invoice, [(field, sum.into())]);
    if !is_paid {
        let due = (integer(&invoice, "amount_due") - amount).max(0);
        set(
            &mut invoice,
            [("amount_due", due.into()), ("amount_remaining", due.into())],
        );
        if due == 0 {
            settle(call, &mut invoice);
        }
    }
    call.state.put(&invoice);
    call.state.event("credit_note.created", &note, call.now);
    Ok(note)
}

fn make(call: &mut Call<'_>, invoice: &Value, amount: i64, is_paid: bool) -> Value {
    let id = text(invoice, "id");
    let count = call
        .state
        .all("credit_note")
        .filter(|n| n["invoice"] == id.as_str())
        .count();
    let number = format!("{}-CN-{:02}", text(invoice, "number"), count + 1);
    let mut line = shape("credit_note_line_item");
    let line_id = call.state.new_id("cnli");
    set(
        &mut line,
        [
            ("id", line_id.into()),
            ("amount", amount.into()),
            ("quantity", 1.into()),
        ],
    );
    let (kind, pre, post) = if is_paid {
        ("post_payment", 0, amount)
    } else {
        ("pre_payment", amount, 0)
    };
    let mut note = call.state.make(
        "credit_note",
        "cn",
        call.now,
        [
            ("invoice", invoice["id"].clone()),
            ("customer", invoice["customer"].clone()),
            ("currency", invoice["currency"].clone()),
            ("amount", amount.into()),
            ("subtotal", amount.into()),
            ("total", amount.into()),
            ("number", number.into()),
            ("type", kind.into()),
            ("pre_payment_amount", pre.into()),
            ("post_payment_amount", post.into()),
            ("effective_at", call.now.into()),
        ],
    );
    note["lines"]["data"] = json!([line]);
    note
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    let invoice = call.params.text("invoice")?;
    let customer = call.params.text("customer")?;
    call.params_end()?;
    let all = call.state.all("credit_note").filter(|note| {
        invoice.as_deref().is_none_or(|id| note["invoice"] == id)
            && customer.as_deref().is_none_or(|id| note["customer"] == id)
    });
    Ok(page.of("/v1/credit_notes", all))
}
