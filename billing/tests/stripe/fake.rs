//! The same requests against the server that stands in, and what its faults become.

use super::{checkout, credit_note, customer, invoice, key, lines};
use lumadb_billing::stripe::{Event, Failure, Stripe};
use lumadb_contract::secret::Secret;
use lumadb_stripe_fake::faults::{Fault, Faults, Rule};
use lumadb_stripe_fake::{Clock, Config, Fake, serve};
use tokio::net::TcpListener;

const SECRET: &str = "sk_test_fake";

async fn world() -> (Fake, Stripe) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let fake = Fake::open(Config {
        folder: None,
        secret_key: Secret::new(SECRET),
        webhook_secret: Secret::new("whsec_fake"),
        webhook_url: None,
        public_url: address.clone(),
        clock: Clock::manual(1_780_000_000),
        faults: Faults::default(),
    })
    .expect("a server");
    let stripe = Stripe::new(&Secret::new(SECRET), Some(&address)).expect("a client");
    tokio::spawn(serve(fake.clone(), listener, std::future::pending()));
    (fake, stripe)
}

#[tokio::test]
async fn an_invoice_is_sent_step_by_step_paid_and_credited() {
    let (fake, stripe) = world().await;
    let made = stripe
        .customer_create(&key("c"), &customer())
        .await
        .expect("a customer");
    let again = stripe
        .customer_create(&key("c"), &customer())
        .await
        .expect("the same");
    assert_eq!(made.id, again.id);
    let found = stripe.customer_find("org_1").await.expect("found");
    assert_eq!(found.expect("the customer").id, made.id);
    let session = stripe
        .checkout_create(&key("s"), &checkout(&made.id))
        .await
        .expect("a page");
    assert_eq!(session.client_reference_id.as_deref(), Some("pch_1"));
    assert!(session.url.expect("an address").contains("/pay/cs_test_"));

    let draft = stripe
        .invoice_create(&key("i"), &invoice(&made.id))
        .await
        .expect("a draft");
    let id = draft.id.as_str();
    let filled = stripe
        .invoice_add_lines(&key("l"), id, &lines())
        .await
        .expect("lines");
    assert_eq!(
        (filled.subtotal, filled.tax(), filled.total),
        (2500, 222, 2722)
    );
    stripe
        .invoice_set_number(&key("n"), id, "INV-2026-000001")
        .await
        .expect("a number");
    stripe.invoice_finalize(&key("f"), id).await.expect("final");
    let unpaid = stripe.invoice_pay(&key("p"), id).await;
    assert!(matches!(unpaid, Err(Failure::Refused { .. })), "{unpaid:?}");
    let found = stripe
        .invoice_find(&made.id, "inv_1")
        .await
        .expect("a list");
    let found = found.expect("our invoice");
    assert!(found.is("open") && found.number.as_deref() == Some("INV-2026-000001"));

    let note = credit_note(id, 722, None);
    let note = stripe
        .credit_note_create(&key("cn"), &note)
        .await
        .expect("a credit note");
    let found = stripe.credit_note_find(id, "crn_1").await.expect("a list");
    assert_eq!(found.expect("our credit note").id, note.id);
    assert_eq!(
        stripe.invoice(id).await.expect("the invoice").amount_due,
        2000
    );

    let events = stripe.events(0, None).await.expect("events");
    let kinds: Vec<String> = events
        .data
        .iter()
        .map(|raw| Event::parse(raw.as_bytes()).expect("an event").kind)
        .collect();
    assert_eq!(
        kinds,
        [
            "credit_note.created",
            "invoice.finalized",
            "invoice.created"
        ]
    );
    assert_eq!(fake.executed("POST /v1/customers"), 1);
}

#[tokio::test]
async fn each_fault_is_told_for_what_it_is() {
    let (fake, stripe) = world().await;
    for (fault, is_unknown) in [
        (Fault::TooMany, false),
        (Fault::ServerError, true),
        (Fault::BadGateway, true),
        (Fault::AnswerLost, true),
    ] {
        fake.set_faults(Faults {
            rules: vec![Rule {
                method: None,
                contains: "/v1/customers".into(),
                fault,
                times: 1,
            }],
            ..Faults::default()
        });
        let sent = stripe.customer_create(&key("c"), &customer()).await;
        match sent {
            Err(Failure::Unknown(_)) => assert!(is_unknown, "{fault:?}"),
            Err(Failure::NotServed { status: 429, .. }) => assert!(!is_unknown, "{fault:?}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        stripe
            .customer_create(&key("c"), &customer())
            .await
            .expect("then");
    }
    assert_eq!(fake.objects("customer").len(), 1);
}

#[tokio::test]
async fn nothing_listens_is_outcome_unknown_and_no_secret_prints() {
    let stripe = Stripe::new(&Secret::new(SECRET), Some("http://127.0.0.1:9")).expect("a client");
    let sent = stripe.customer("cus_1").await;
    assert!(matches!(sent, Err(Failure::Unknown(_))), "{sent:?}");
    assert!(!format!("{stripe:?} {sent:?}").contains(SECRET));
}
