//! Each request to Stripe, judged by Stripe's own mock and answered by the server that stands in.

mod fake;
mod judge;

use lumadb_billing::stripe::{
    Key, LineTax, NewCheckout, NewCreditNote, NewCustomer, NewInvoice, SentLine, Stripe,
};
use lumadb_contract::money::Cents;
use time::macros::datetime;

fn key(text: &str) -> Key {
    Key::new(text).expect("a key")
}

fn customer() -> NewCustomer {
    NewCustomer {
        organization: "org_1".into(),
        name: "Ada & co".into(),
        email: "ada@example.com".into(),
    }
}

fn checkout(customer: &str) -> NewCheckout {
    NewCheckout {
        customer: customer.into(),
        organization: "org_1".into(),
        reference: "pch_1".into(),
        success_url: "http://127.0.0.1:8400/billing?card=saved".into(),
        cancel_url: "http://127.0.0.1:8400/billing".into(),
    }
}

fn invoice(customer: &str) -> NewInvoice {
    NewInvoice {
        customer: customer.into(),
        invoice: "inv_1".into(),
        description: "November 2026".into(),
    }
}

fn lines() -> Vec<SentLine> {
    let line = |description: &str, cents, tax| SentLine {
        description: description.into(),
        amount: Cents::new(cents),
        from: datetime!(2026-11-01 0:00 UTC),
        to: datetime!(2026-12-01 0:00 UTC),
        tax: Some(LineTax {
            name: "VAT".into(),
            rate_ppm: 88_750,
            taxable: Cents::new(cents),
            amount: Cents::new(tax),
        }),
    };
    vec![line("Plan Starter", 2900, 257), line("Credits", -400, -35)]
}

fn credit_note(invoice: &str, cents: i64, refund: Option<i64>) -> NewCreditNote {
    NewCreditNote {
        invoice: invoice.into(),
        credit_note: "crn_1".into(),
        number: "CN-2026-000001".into(),
        total: Cents::new(cents),
        refund: refund.map(Cents::new),
    }
}

/// Every request that there is.
async fn all(stripe: &Stripe) -> Vec<(&'static str, Result<(), String>)> {
    let text = |error: lumadb_billing::stripe::Failure| error.to_string();
    let (cus, inv, pm) = ("cus_1", "in_1", "pm_1");
    macro_rules! sent {
        ($($method:ident($($argument:expr),*)),+ $(,)?) => {
            vec![$((stringify!($method), stripe.$method($($argument),*).await.map(drop).map_err(text))),+]
        };
    }
    let k = key("a-stored-key");
    sent![
        customer_create(&k, &customer()),
        customer(cus),
        customer_find("org_1"),
        customer_set_default(&k, cus, pm),
        payment_method(pm),
        checkout_create(&k, &checkout(cus)),
        checkout("cs_1"),
        setup_intent("seti_1"),
        portal_create(&k, cus, "http://127.0.0.1:8400/billing"),
        invoice_create(&k, &invoice(cus)),
        invoice(inv),
        invoice_find(cus, "inv_1"),
        invoices(1, Some(inv)),
        invoice_add_lines(&k, inv, &lines()),
        invoice_set_number(&k, inv, "INV-2026-000001"),
        invoice_finalize(&k, inv),
        invoice_pay(&k, inv),
        invoice_void(&k, inv),
        credit_note_create(&k, &credit_note(inv, 100, None)),
        credit_note_create(&k, &credit_note(inv, 100, Some(100))),
        credit_note_create(&k, &credit_note(inv, 100, Some(40))),
        credit_note_create(&k, &credit_note(inv, 100, Some(0))),
        credit_note_find(inv, "crn_1"),
        credit_notes(1, Some("cn_1")),
        balance_transactions(1, Some("txn_1")),
        events(1, Some("evt_1")),
    ]
}
