//! Invoices: draft, open, paid, void or written off.

use super::Call;
use super::list::Page;
use crate::error::ApiError;
use crate::params::Params;
use crate::shapes::{integer, set, shape, text};
use crate::state::State;
use serde_json::{Value, json};

/// Smallest charge in US dollars, cents. Less is owed until the next invoice.
const CHARGE_MIN: i64 = 50;

/// Most lines of an invoice.
const LINES_MAX: usize = 250;

/// Largest amount of a line, cents.
const AMOUNT_MAX: i64 = 99_999_999_999;

pub(super) fn create(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let customer = call.params.need_text("customer")?;
    let currency = call
        .params
        .text("currency")?
        .unwrap_or_else(|| "usd".into());
    call.params
        .one_of("pending_invoice_items_behavior", &["exclude", "include"])?;
    let changes = Changes::read(&mut call.params)?;
    call.params_end()?;
    let owner = call.state.get("customer", &customer)?;
    changes.number_is_free(call.state, "")?;
    let mut invoice = call.state.make(
        "invoice",
        "in",
        call.now,
        [
            ("customer", customer.into()),
            ("currency", currency.into()),
            ("status", "draft".into()),
            ("billing_reason", "manual".into()),
            ("customer_email", owner["email"].clone()),
            ("customer_name", owner["name"].clone()),
            ("period_start", call.now.into()),
            ("period_end", call.now.into()),
        ],
    );
    let url = format!("/v1/invoices/{}/lines", text(&invoice, "id"));
    invoice["lines"]["url"] = url.into();
    changes.apply(&mut invoice);
    call.state.put(&invoice);
    call.state.event("invoice.created", &invoice, call.now);
    Ok(invoice)
}

/// Fields that creating and updating have in common.
#[derive(Debug)]
struct Changes {
    fields: Vec<(&'static str, Value)>,
    metadata: serde_json::Map<String, Value>,
}

impl Changes {
    fn read(params: &mut Params) -> Result<Self, ApiError> {
        let mut fields = Vec::new();
        let methods = ["charge_automatically", "send_invoice"];
        if let Some(method) = params.one_of("collection_method", &methods)? {
            fields.push(("collection_method", method.into()));
        }
        if let Some(flag) = params.flag("auto_advance")? {
            fields.push(("auto_advance", flag.into()));
        }
        for name in ["number", "description", "footer", "default_payment_method"] {
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
        for name in ["due_date", "effective_at"] {
            if let Some(at) = params.integer(name)? {
                fields.push((name, at.into()));
            }
        }
        let metadata = params.metadata()?;
        Ok(Self { fields, metadata })
    }

    /// A number is given once in an account.
    fn number_is_free(&self, state: &State, own: &str) -> Result<(), ApiError> {
        let number = self.fields.iter().find(|(name, _)| *name == "number");
        let taken = number.is_some_and(|(_, number)| {
            state
                .all("invoice")
                .any(|invoice| invoice["number"] == *number && invoice["id"] != own)
        });
        if taken {
            let message = "An invoice with this number exists already.";
            return Err(ApiError::parameter(
                "invoice_number_taken",
                "number",
                message,
            ));
        }
        Ok(())
    }

    fn apply(self, invoice: &mut Value) {
        for (name, value) in self.fields {
            invoice[name] = value;
        }
        for (name, value) in self.metadata {
            invoice["metadata"][name] = value;
        }
    }
}

pub(super) fn update(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut invoice = call.state.get("invoice", id)?;
    let changes = Changes::read(&mut call.params)?;
    call.params_end()?;
    if !changes.fields.is_empty() {
        must_be(&invoice, &["draft"], "edited")?;
    }
    changes.number_is_free(call.state, id)?;
    changes.apply(&mut invoice);
    call.state.put(&invoice);
    call.state.event("invoice.updated", &invoice, call.now);
    Ok(invoice)
}

pub(super) fn delete(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let invoice = call.state.get("invoice", id)?;
    call.params_end()?;
    must_be(&invoice, &["draft"], "deleted")?;
    call.state.remove(id);
    call.state.event("invoice.deleted", &invoice, call.now);
    Ok(json!({ "id": id, "object": "invoice", "deleted": true }))
}

pub(super) fn list(call: &mut Call<'_>) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    let customer = call.params.text("customer")?;
    let status = call.params.text("status")?;
    call.params_end()?;
    let all = call.state.all("invoice").filter(|invoice| {
        customer
            .as_deref()
            .is_none_or(|id| invoice["customer"] == id)
            && status
                .as_deref()
                .is_none_or(|status| invoice["status"] == status)
    });
    Ok(page.of("/v1/invoices", all))
}

pub(super) fn lines(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let page = Page::read(&mut call.params)?;
    call.params_end()?;
    let invoice = call.state.get("invoice", id)?;
    let lines = invoice["lines"]["data"].as_array();
    Ok(page.of(
        &format!("/v1/invoices/{id}/lines"),
        lines.into_iter().flatten(),
    ))
}

pub(super) fn add_lines(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut invoice = call.state.get("invoice", id)?;
    let asked = call.params.list("lines")?;
    if asked.is_empty() {
        return Err(call.params.missing("lines"));
    }
    call.params_end()?;
    must_be(&invoice, &["draft"], "edited")?;
    let mut lines: Vec<Value> = invoice["lines"]["data"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if lines.len() + asked.len() > LINES_MAX {
        let message = format!("An invoice has at most {LINES_MAX} lines.");
        return Err(ApiError::parameter("invoice_line_limit", "lines", message));
    }
    for params in asked {
        let line = line(call, &invoice, params)?;
        lines.push(line);
    }
    invoice["lines"]["data"] = lines.into();
    add_up(&mut invoice);
    call.state.put(&invoice);
    call.state.event("invoice.updated", &invoice, call.now);
    Ok(invoice)
}

fn line(call: &mut Call<'_>, invoice: &Value, mut params: Params) -> Result<Value, ApiError> {
    let amount = params.integer("amount")?;
    let amount = amount.ok_or_else(|| params.missing("amount"))?;
    if amount.abs() > AMOUNT_MAX {
        let message = "Amount must be no more than $999,999,999.99";
        return Err(ApiError::parameter("amount_too_large", "amount", message));
    }
    let mut line = shape("line_item");
    let id = call.state.new_id("il");
    set(
        &mut line,
        [
            ("id", id.into()),
            ("amount", amount.into()),
            ("subtotal", amount.into()),
            ("invoice", invoice["id"].clone()),
            ("currency", invoice["currency"].clone()),
            ("description", params.text("description")?.into()),
            (
                "discountable",
                params.flag("discountable")?.unwrap_or(true).into(),
            ),
            ("quantity", params.integer("quantity")?.unwrap_or(1).into()),
            ("period", json!({ "start": call.now, "end": call.now })),
            ("metadata", params.metadata()?.into()),
        ],
    );
    if let Some(mut period) = params.object("period")? {
        let start = period
            .integer("start")?
            .ok_or_else(|| period.missing("start"))?;
        let end = period
            .integer("end")?
            .ok_or_else(|| period.missing("end"))?;
        period.finish()?;
        line["period"] = json!({ "start": start, "end": end });
    }
    let mut taxes = Vec::new();
    for mut tax in params.list("tax_amounts")? {
        taxes.push(tax_of(call, &mut tax)?);
        tax.finish()?;
    }
    if !taxes.is_empty() {
        line["taxes"] = taxes.into();
    }
    params.finish()?;
    Ok(line)
}

fn tax_of(call: &mut Call<'_>, tax: &mut Params) -> Result<Value, ApiError> {
    let amount = tax
        .integer("amount")?
        .ok_or_else(|| tax.missing("amount"))?;
    let taxable = tax.integer("taxable_amount")?;
    let taxable = taxable.ok_or_else(|| tax.missing("taxable_amount"))?;
    let reason = tax.text("taxability_reason")?;
    let rate = tax.object("tax_rate_data")?;
    let mut rate = rate.ok_or_else(|| tax.missing("tax_rate_data"))?;
    let name = rate.need_text("display_name")?;
    rate.need_text("percentage")?;
    let inclusive = rate.flag("inclusive")?;
    let inclusive = inclusive.ok_or_else(|| rate.missing("inclusive"))?;
    for optional in [
        "country",
        "description",
        "jurisdiction",
        "state",
        "tax_type",
    ] {
        rate.text(optional)?;
    }
    rate.finish()?;
    tracing::trace!(name, "a tax");
    let rate = call.state.new_id("txr");
    Ok(json!({
        "amount": amount,
        "taxable_amount": taxable,
        "tax_behavior": if inclusive { "inclusive" } else { "exclusive" },
        "taxability_reason": reason.unwrap_or_else(|| "not_available".into()),
        "type": "tax_rate_details",
        "tax_rate_details": { "tax_rate": rate },
    }))
}

/// Sums of the lines.
fn add_up(invoice: &mut Value) {
    let lines = invoice["lines"]["data"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let subtotal: i64 = lines.iter().map(|line| integer(line, "amount")).sum();
    let taxes: Vec<Value> = lines
        .iter()
        .filter_map(|line| line["taxes"].as_array())
        .flatten()
        .cloned()
        .collect();
    let exclusive = taxes
        .iter()
        .filter(|tax| tax["tax_behavior"] == "exclusive");
    let added: i64 = exclusive.map(|tax| integer(tax, "amount")).sum();
    let all: i64 = taxes.iter().map(|tax| integer(tax, "amount")).sum();
    let total = subtotal + added;
    set(
        invoice,
        [
            ("subtotal", subtotal.into()),
            ("subtotal_excluding_tax", (total - all).into()),
            ("total", total.into()),
            ("total_excluding_tax", (total - all).into()),
            ("amount_due", total.max(0).into()),
            ("amount_remaining", total.max(0).into()),
            ("total_taxes", taxes.into()),
        ],
    );
}

pub(super) fn finalize(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut invoice = call.state.get("invoice", id)?;
    let advance = call.params.flag("auto_advance")?;
    call.params_end()?;
    must_be(&invoice, &["draft"], "finalized")?;
    let mut customer = call.state.get("customer", &text(&invoice, "customer"))?;
    if invoice["number"].is_null() {
        let prefix = text(&customer, "invoice_prefix");
        let count = call
            .state
            .all("invoice")
            .filter(|i| i["number"].is_string())
            .count();
        invoice["number"] = format!("{prefix}-{:04}", count + 1).into();
    }
    let before = integer(&customer, "balance");
    let owed = integer(&invoice, "total") + before;
    // Less than the smallest charge, and what is in the customer's favor, waits for the next one.
    let (due, after) = if owed < CHARGE_MIN {
        (0, owed)
    } else {
        (owed, 0)
    };
    set(
        &mut invoice,
        [
            ("status", "open".into()),
            ("auto_advance", advance.unwrap_or(false).into()),
            ("starting_balance", before.into()),
            ("ending_balance", after.into()),
            ("amount_due", due.into()),
            ("amount_remaining", due.into()),
            ("effective_at", call.now.into()),
            (
                "hosted_invoice_url",
                format!("{}/invoice/{id}", call.public_url).into(),
            ),
        ],
    );
    invoice["status_transitions"]["finalized_at"] = call.now.into();
    if after != before {
        set(&mut customer, [("balance", after.into())]);
        call.state.put(&customer);
        call.state.event("customer.updated", &customer, call.now);
    }
    call.state.put(&invoice);
    call.state.event("invoice.finalized", &invoice, call.now);
    if due == 0 {
        settle(call, &mut invoice);
    }
    Ok(invoice)
}

/// Nothing is left to pay.
pub(super) fn settle(call: &mut Call<'_>, invoice: &mut Value) {
    set(
        invoice,
        [("status", "paid".into()), ("amount_remaining", 0.into())],
    );
    invoice["status_transitions"]["paid_at"] = call.now.into();
    call.state.put(invoice);
    call.state.event("invoice.paid", invoice, call.now);
}

pub(super) fn void(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut invoice = call.state.get("invoice", id)?;
    call.params_end()?;
    must_be(&invoice, &["open", "uncollectible"], "voided")?;
    // What it took over from earlier ones is owed again.
    let before = integer(&invoice, "starting_balance");
    if before != 0 {
        let mut customer = call.state.get("customer", &text(&invoice, "customer"))?;
        let balance = integer(&customer, "balance") + before;
        set(&mut customer, [("balance", balance.into())]);
        call.state.put(&customer);
    }
    set(
        &mut invoice,
        [("status", "void".into()), ("amount_remaining", 0.into())],
    );
    invoice["status_transitions"]["voided_at"] = call.now.into();
    call.state.put(&invoice);
    call.state.event("invoice.voided", &invoice, call.now);
    Ok(invoice)
}

pub(super) fn write_off(call: &mut Call<'_>, id: &str) -> Result<Value, ApiError> {
    let mut invoice = call.state.get("invoice", id)?;
    call.params_end()?;
    must_be(&invoice, &["open"], "marked as uncollectible")?;
    set(&mut invoice, [("status", "uncollectible".into())]);
    invoice["status_transitions"]["marked_uncollectible_at"] = call.now.into();
    call.state.put(&invoice);
    call.state
        .event("invoice.marked_uncollectible", &invoice, call.now);
    Ok(invoice)
}

pub(super) fn must_be(invoice: &Value, wanted: &[&str], done: &str) -> Result<(), ApiError> {
    let status = text(invoice, "status");
    if wanted.contains(&status.as_str()) {
        return Ok(());
    }
    let id = text(invoice, "id");
    let message = format!("Invoice {id} is {status} and cannot be {done}.");
    Err(ApiError::state("invoice_not_editable", message))
}
