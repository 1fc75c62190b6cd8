//! The pages that Stripe hosts: Checkout, the Customer Portal, an invoice. They say that they are
//! a test, and which cards there are.

use crate::cards::{self, Behavior, CARDS, TestCard};
use crate::error::ApiError;
use crate::form;
use crate::params::Params;
use crate::resource::{
    Call, Paid, Setup, detach, invoice_pay, portal_card_add, set_default, setup_finish,
};
use crate::server::text as html;
use crate::shapes::{integer, text};
use crate::state::State;
use axum::body::Body;
use axum::response::Response;
use http::{StatusCode, header};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// What a page leads to.
enum Next {
    Page(String, String),
    Go(String),
}

pub(crate) fn answer(
    state: &mut State,
    now: i64,
    method: &str,
    path: &str,
    body: &str,
) -> Response {
    let fields = if method == "POST" {
        form::parse(body).unwrap_or_default()
    } else {
        Map::new()
    };
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let next = match parts.as_slice() {
        ["pay", id] => checkout(state, now, id, &fields),
        ["portal", id] => portal(state, now, id, &fields),
        ["invoice", id] => invoice(state, now, id, &fields),
        _ => Err(ApiError::missing("page", path)),
    };
    match next {
        Ok(Next::Page(title, content)) => html(StatusCode::OK, frame(&title, &content)),
        Ok(Next::Go(address)) => go(&address),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::NOT_FOUND);
            let content = format!("<p class=\"wrong\">{}</p>", escape(error.message()));
            html(status, frame("Not available", &content))
        }
    }
}

fn go(address: &str) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(address) = header::HeaderValue::from_str(address) {
        answer.headers_mut().insert(header::LOCATION, address);
    }
    answer
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The card that was typed in: nothing, or an error for the page.
fn typed(fields: &Map<String, Value>) -> Option<Result<TestCard, &'static str>> {
    let number = field(fields, "number");
    if number.is_empty() {
        return fields
            .contains_key("number")
            .then_some(Err("Your card number is incomplete."));
    }
    let card = cards::by_number(number);
    Some(card.ok_or("Your card number is invalid: this server knows test cards alone."))
}

fn checkout(
    state: &mut State,
    now: i64,
    id: &str,
    fields: &Map<String, Value>,
) -> Result<Next, ApiError> {
    let session = state.get("checkout.session", id)?;
    let mut wrong = None;
    match typed(fields) {
        None => {}
        Some(Err(message)) => wrong = Some(message.to_owned()),
        Some(Ok(card)) => {
            if field(fields, "answer") == "refuse" {
                wrong = Some("We are unable to authenticate your payment method.".to_owned());
            } else {
                let approved = field(fields, "answer") == "approve";
                match setup_finish(state, now, id, card, approved)? {
                    Setup::Done(address) => return Ok(Next::Go(address)),
                    Setup::Ask => return Ok(ask(card)),
                    Setup::Refused(error) => wrong = Some(error.message().to_owned()),
                }
            }
        }
    }
    if session["status"] != "open" || now > integer(&session, "expires_at") {
        let message = "This page is no longer open.";
        return Err(ApiError::state("checkout_session_not_open", message));
    }
    let back = text(&session, "cancel_url");
    let content = card_form(wrong.as_deref(), "Save card", &back);
    Ok(Next::Page("Save a card".into(), content))
}

/// What a bank asks the holder of a card.
fn ask(card: TestCard) -> Next {
    let content = format!(
        "<p>The bank of this card asks: is it you?</p>\
         <form method=\"post\"><input type=\"hidden\" name=\"number\" value=\"{}\">\
         <button name=\"answer\" value=\"approve\">Yes, it is me</button>\
         <button name=\"answer\" value=\"refuse\" class=\"second\">No</button></form>",
        card.number
    );
    Next::Page("Your bank asks".into(), content)
}

fn portal(
    state: &mut State,
    now: i64,
    id: &str,
    fields: &Map<String, Value>,
) -> Result<Next, ApiError> {
    let session = state.get("billing_portal.session", id)?;
    let customer = text(&session, "customer");
    let mut wrong = None;
    match typed(fields) {
        None => {}
        Some(Err(message)) => wrong = Some(message.to_owned()),
        Some(Ok(card)) => {
            let added = portal_card_add(state, now, &customer, card);
            wrong = added.err().map(|error| error.message().to_owned());
        }
    }
    let owned = |state: &State, method: &str| {
        let found = state.get("payment_method", method);
        found.is_ok_and(|method| method["customer"] == customer.as_str())
    };
    let (default, remove) = (field(fields, "default"), field(fields, "remove"));
    if owned(state, default) {
        set_default(state, &customer, default, now);
    }
    if owned(state, remove) {
        detach(&mut Call::new(state, now, Params::default(), ""), remove)?;
    }
    let mut content = String::from("<h2>Cards</h2><form method=\"post\"><ul>");
    let found = state.get("customer", &customer)?;
    let used = &found["invoice_settings"]["default_payment_method"];
    for method in state.all("payment_method") {
        if method["customer"] != customer.as_str() {
            continue;
        }
        let (brand, last4) = (
            text(&method["card"], "brand"),
            text(&method["card"], "last4"),
        );
        let id = text(method, "id");
        let action = if method["id"] == *used {
            "default".to_owned()
        } else {
            format!("<button name=\"default\" value=\"{id}\">Make default</button>")
        };
        let _ = write!(
            content,
            "<li>{brand} •••• {last4} {action} \
             <button name=\"remove\" value=\"{id}\" class=\"second\">Remove</button></li>"
        );
    }
    content.push_str("</ul></form><h2>Add a card</h2>");
    content += &card_form(wrong.as_deref(), "Add card", &text(&session, "return_url"));
    content.push_str("<h2>Invoices</h2><ul>");
    for invoice in state.all("invoice") {
        if invoice["customer"] == customer.as_str() && invoice["status"] != "draft" {
            let _ = write!(
                content,
                "<li><a href=\"/invoice/{}\">{}</a> {} {}</li>",
                text(invoice, "id"),
                escape(&text(invoice, "number")),
                dollars(integer(invoice, "total")),
                text(invoice, "status"),
            );
        }
    }
    content.push_str("</ul>");
    Ok(Next::Page("Billing".into(), content))
}

fn invoice(
    state: &mut State,
    now: i64,
    id: &str,
    fields: &Map<String, Value>,
) -> Result<Next, ApiError> {
    let mut invoice = state.get("invoice", id)?;
    let open = ["open", "uncollectible"].contains(&text(&invoice, "status").as_str());
    let mut wrong = None;
    match typed(fields) {
        Some(Err(message)) => wrong = Some(message.to_owned()),
        Some(Ok(card)) if open => {
            let approved = field(fields, "answer") == "approve";
            if card.behavior == Behavior::AskedAlways && !approved {
                return Ok(ask(card));
            }
            let method = state.card_make(card, &text(&invoice, "customer"), now);
            let mut call = Call::new(state, now, Params::default(), "");
            let method = text(&method, "id");
            match invoice_pay(&mut call, id, Some(method), approved)? {
                Paid::Yes(paid) => invoice = paid,
                Paid::No(error) => wrong = Some(error.message().to_owned()),
            }
        }
        _ => {}
    }
    let mut content = format!("<p>Status: <b>{}</b></p><table>", text(&invoice, "status"));
    let lines = invoice["lines"]["data"].as_array();
    for line in lines.into_iter().flatten() {
        let _ = write!(
            content,
            "<tr><td>{}</td><td>{}</td></tr>",
            escape(&text(line, "description")),
            dollars(integer(line, "amount"))
        );
    }
    let _ = write!(
        content,
        "<tr><td>Tax</td><td>{}</td></tr><tr><td>Total</td><td>{}</td></tr></table>",
        dollars(integer(&invoice, "total") - integer(&invoice, "total_excluding_tax")),
        dollars(integer(&invoice, "total"))
    );
    if ["open", "uncollectible"].contains(&text(&invoice, "status").as_str()) {
        content += &card_form(wrong.as_deref(), "Pay", "");
    }
    let title = format!("Invoice {}", text(&invoice, "number"));
    Ok(Next::Page(title, content))
}

fn dollars(cents: i64) -> String {
    let sign = if cents < 0 { "−" } else { "" };
    format!("{sign}${}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

fn card_form(wrong: Option<&str>, button: &str, back: &str) -> String {
    let wrong = wrong.map_or_else(String::new, |text| {
        format!("<p class=\"wrong\" role=\"alert\">{}</p>", escape(text))
    });
    let back = if back.starts_with("http://") || back.starts_with("https://") {
        format!("<a href=\"{}\">Back</a>", escape(back))
    } else {
        String::new()
    };
    let mut cards = String::new();
    for card in CARDS {
        let _ = write!(
            cards,
            "<tr><td><code>{}</code></td><td>{}</td></tr>",
            card.number, card.what
        );
    }
    format!(
        "{wrong}<form method=\"post\">\
         <label>Card number <input name=\"number\" inputmode=\"numeric\" autocomplete=\"off\" \
         placeholder=\"4242 4242 4242 4242\" autofocus></label>\
         <label>Expiry <input name=\"expiry\" placeholder=\"12 / 40\"></label>\
         <label>CVC <input name=\"cvc\" placeholder=\"123\"></label>\
         <button>{button}</button> {back}</form>\
         <details><summary>Test cards</summary><table>{cards}</table></details>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn frame(title: &str, content: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;\
         color:#1d1a14}}label{{display:block;margin:.75rem 0}}input{{font:inherit;padding:.5rem;\
         width:100%;box-sizing:border-box}}button{{font:inherit;padding:.5rem 1rem;border:0;\
         border-radius:.4rem;background:#211d16;color:#fff}}button.second{{background:#716a5c}}\
         .wrong{{color:#a11}}.test{{background:#fff3cd;padding:.5rem 1rem;border-radius:.4rem}}\
         td{{padding:.2rem 1rem .2rem 0}}</style></head><body>\
         <p class=\"test\">A test server stands in for Stripe here. No money moves, and only test \
         cards are known.</p><h1>{title}</h1>{content}</body></html>"
    )
}
