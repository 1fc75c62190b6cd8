//! What Stripe's objects do: one file a kind.

mod billing;
mod checkout;
mod credit_note;
mod customer;
mod event;
mod invoice;
mod list;
mod payment;
mod payment_method;

pub(crate) use checkout::{Setup, portal_card_add, setup_finish};
pub(crate) use payment::{Paid, dispute_end, invoice_pay};
pub(crate) use payment_method::{detach, set_default};

use crate::error::ApiError;
use crate::params::Params;
use crate::state::State;
use serde_json::Value;

/// A request that is being executed.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) now: i64,
    pub(crate) params: Params,
    /// Address of the pages, without a slash at the end.
    pub(crate) public_url: &'a str,
}

impl<'a> Call<'a> {
    pub(crate) fn new(state: &'a mut State, now: i64, params: Params, public_url: &'a str) -> Self {
        Self {
            state,
            now,
            params,
            public_url,
        }
    }

    /// Nothing of the parameters may be left.
    fn params_end(&mut self) -> Result<(), ApiError> {
        std::mem::take(&mut self.params).finish()
    }
}

/// The path with identifiers replaced: `/v1/invoices/:id/pay`.
pub(crate) fn pattern(path: &str) -> String {
    let parts = path.split('/').map(|part| {
        let is_id = part.contains('_') && part.chars().any(|c| c.is_ascii_digit());
        if is_id { ":id" } else { part }
    });
    parts.collect::<Vec<_>>().join("/")
}

pub(crate) fn route(mut call: Call<'_>, method: &str, path: &str) -> Result<Value, ApiError> {
    let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    let c = &mut call;
    match (method, parts.as_slice()) {
        ("POST", ["customers"]) => customer::create(c),
        ("GET", ["customers"]) => customer::list(c),
        ("GET", ["customers", "search"]) => customer::search(c),
        ("POST", ["customers", id]) => customer::update(c, id),
        ("GET", ["customers", id, "payment_methods"]) => payment_method::list(c, id),
        ("POST", ["payment_methods", id, "attach"]) => payment_method::attach(c, id),
        ("POST", ["payment_methods", id, "detach"]) => payment_method::detach(c, id),
        ("POST", ["checkout", "sessions"]) => checkout::create(c),
        ("POST", ["checkout", "sessions", id, "expire"]) => checkout::expire(c, id),
        ("POST", ["billing_portal", "sessions"]) => billing::portal_create(c),
        ("POST", ["invoices"]) => invoice::create(c),
        ("GET", ["invoices"]) => invoice::list(c),
        ("POST", ["invoices", id]) => invoice::update(c, id),
        ("DELETE", ["invoices", id]) => invoice::delete(c, id),
        ("GET", ["invoices", id, "lines"]) => invoice::lines(c, id),
        ("POST", ["invoices", id, "add_lines"]) => invoice::add_lines(c, id),
        ("POST", ["invoices", id, "finalize"]) => invoice::finalize(c, id),
        ("POST", ["invoices", id, "pay"]) => payment::pay(c, id),
        ("POST", ["invoices", id, "void"]) => invoice::void(c, id),
        ("POST", ["invoices", id, "mark_uncollectible"]) => invoice::write_off(c, id),
        ("POST", ["credit_notes"]) => credit_note::create(c),
        ("GET", ["credit_notes"]) => credit_note::list(c),
        ("POST", ["refunds"]) => payment::refund_create(c),
        ("GET", ["refunds"]) => payment::refund_list(c),
        ("GET", ["disputes"]) => payment::dispute_list(c),
        ("POST", ["disputes", id, "close"]) => payment::dispute_close(c, id),
        ("GET", ["charges"]) => payment::charge_list(c),
        ("GET", ["balance_transactions"]) => billing::transaction_list(c),
        ("GET", ["events"]) => event::list(c),
        ("GET", [.., kind, id]) => match kind_of(kind) {
            Some(kind) => {
                c.params_end()?;
                c.state.get(kind, id)
            }
            None => Err(ApiError::no_route(method, path)),
        },
        _ => Err(ApiError::no_route(method, path)),
    }
}

/// What `GET /v1/<plural>/<id>` gives.
fn kind_of(plural: &str) -> Option<&'static str> {
    Some(match plural {
        "customers" => "customer",
        "payment_methods" => "payment_method",
        "setup_intents" => "setup_intent",
        "payment_intents" => "payment_intent",
        "sessions" => "checkout.session",
        "invoices" => "invoice",
        "credit_notes" => "credit_note",
        "refunds" => "refund",
        "charges" => "charge",
        "disputes" => "dispute",
        "balance_transactions" => "balance_transaction",
        "events" => "event",
        _ => return None,
    })
}
