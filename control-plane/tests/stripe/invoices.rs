use super::world::World;
use lumadb_control_plane::app::billing::InvoiceState;
use lumadb_control_plane::collect::send_due;
use lumadb_stripe_fake::faults::{Fault, Faults, Rule};
use time::Duration;

#[tokio::test]
async fn an_invoice_is_sent_charged_once_and_booked() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    let issued = world.issue(&person, 2900).await;
    world
        .until(async || world.is(&issued, InvoiceState::Paid).await)
        .await;
    let shown = world.fake.objects("invoice").remove(0);
    assert_eq!(shown["number"], issued.number);
    assert_eq!(shown["metadata"]["lumadb_invoice"], issued.id.to_string());
    assert_eq!(shown["amount_paid"], 2900);
    // The webhooks of what was just done change nothing.
    world.until(async || world.fake.deliveries() == 0).await;
    while send_due(&world.collector).await.expect("sent") > 0 {}
    assert_eq!((world.cash().await, world.moved()), (2900, 2900));
    assert_eq!(world.fake.executed("POST /v1/invoices/:id/pay"), 1);
}

#[tokio::test]
async fn a_charge_that_is_refused_is_tried_with_the_next_card() {
    let world = World::new().await;
    let person = world.person("4000000000000341").await;
    let issued = world.issue(&person, 2900).await;
    let refused = async || {
        let path = format!("/v1/organizations/{}/card", person.organization);
        let shown = world.cloud.get(&path).cookie(&person.cookie).send().await;
        shown.body["refused_charges"].clone()
    };
    world
        .until(async || refused().await[0]["invoice_id"] == issued.id.to_string())
        .await;
    assert!(
        refused().await[0]["url"]
            .as_str()
            .is_some_and(|url| url.contains("/invoice/in_"))
    );
    assert!(world.is(&issued, InvoiceState::Final).await);
    // Not again before its time, and then by another key.
    while send_due(&world.collector).await.expect("sent") > 0 {}
    assert_eq!(world.fake.executed("POST /v1/invoices/:id/pay"), 1);
    world.advance(Duration::days(1) + Duration::MINUTE);
    world
        .until(async || world.fake.executed("POST /v1/invoices/:id/pay") == 2)
        .await;
    world.card_save(&person, "4242424242424242").await;
    world
        .until(async || world.is(&issued, InvoiceState::Paid).await)
        .await;
    assert_eq!(refused().await, serde_json::json!([]));
    assert_eq!((world.cash().await, world.moved()), (2900, 2900));
}

#[tokio::test]
async fn an_invoice_that_its_customer_pays_by_hand_is_booked_by_the_webhook() {
    let world = World::new().await;
    let person = world.person("4000000000000341").await;
    let issued = world.issue(&person, 2900).await;
    let open = async || {
        let invoices = world.fake.objects("invoice");
        let open = invoices
            .into_iter()
            .find(|invoice| invoice["attempt_count"] == 1);
        open.map(|invoice| {
            invoice["hosted_invoice_url"]
                .as_str()
                .expect("an address")
                .to_owned()
        })
    };
    world.until(async || open().await.is_some()).await;
    let url = open().await.expect("an address");
    super::world::reply::post(&url, "number=4242424242424242").await;
    world
        .until(async || world.is(&issued, InvoiceState::Paid).await)
        .await;
    assert_eq!((world.cash().await, world.moved()), (2900, 2900));
}

#[tokio::test]
async fn while_stripe_is_away_everything_else_goes_on() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    world.fake.set_faults(Faults {
        rules: vec![Rule {
            method: None,
            contains: "/v1/".into(),
            fault: Fault::BadGateway,
            times: 1000,
        }],
        ..Faults::default()
    });
    let issued = world.issue(&person, 2900).await;
    for _ in 0..3 {
        send_due(&world.collector).await.expect("tried");
        world.advance(Duration::minutes(11));
    }
    assert!(world.is(&issued, InvoiceState::Final).await);
    let path = format!("/v1/organizations/{}/card", person.organization);
    let call = world.cloud.post(&path).cookie(&person.cookie);
    let page = call.json(&serde_json::json!({})).send().await;
    page.expect_problem(503, "unavailable");
    world.fake.set_faults(Faults::default());
    world
        .until(async || world.is(&issued, InvoiceState::Paid).await)
        .await;
    assert_eq!((world.cash().await, world.moved()), (2900, 2900));
}

#[tokio::test]
async fn after_a_day_an_invoice_is_looked_up_before_it_is_made_again() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    world.fake.set_faults(Faults {
        rules: vec![
            Rule {
                method: Some("POST".into()),
                contains: "/v1/invoices".into(),
                fault: Fault::AnswerLost,
                times: 1,
            },
            Rule {
                method: None,
                contains: "/v1/invoices".into(),
                fault: Fault::BadGateway,
                times: 1000,
            },
        ],
        ..Faults::default()
    });
    let issued = world.issue(&person, 2900).await;
    send_due(&world.collector).await.expect("tried");
    assert_eq!(world.fake.objects("invoice").len(), 1);
    // Its key has expired when Stripe is back.
    world.advance(Duration::hours(30));
    world.fake.set_faults(Faults::default());
    world
        .until(async || world.is(&issued, InvoiceState::Paid).await)
        .await;
    assert_eq!(world.fake.objects("invoice").len(), 1);
}

#[tokio::test]
async fn a_key_that_holds_an_error_is_given_up_after_a_look() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    for path in ["/v1/invoices", "/add_lines", "/finalize", "/pay"] {
        world.fake.set_faults(Faults {
            rules: vec![Rule {
                method: Some("POST".into()),
                contains: path.into(),
                fault: Fault::ServerErrorKept,
                times: 1,
            }],
            ..Faults::default()
        });
        let issued = world.issue(&person, 2900).await;
        for _ in 0..20 {
            send_due(&world.collector).await.expect("tried");
            world.advance(Duration::minutes(11));
        }
        assert!(world.is(&issued, InvoiceState::Paid).await, "{path}");
    }
    assert_eq!((world.cash().await, world.moved()), (4 * 2900, 4 * 2900));
    assert_eq!(world.fake.objects("invoice").len(), 4);
}

#[tokio::test]
async fn less_than_the_smallest_charge_is_collected_with_the_next_invoice() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    let small = world.issue(&person, 30).await;
    world
        .until(async || world.is(&small, InvoiceState::Paid).await)
        .await;
    assert_eq!((world.cash().await, world.moved()), (30, 0));
    let next = world.issue(&person, 2900).await;
    world
        .until(async || world.is(&next, InvoiceState::Paid).await)
        .await;
    assert_eq!((world.cash().await, world.moved()), (2930, 2930));
}
