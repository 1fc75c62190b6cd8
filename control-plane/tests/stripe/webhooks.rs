use super::world::{WEBHOOK_SECRET, World, reply};
use crate::support::START;
use lumadb_control_plane::app::billing::InvoiceState;
use lumadb_stripe_fake::faults::{Faults, WebhookFault};
use lumadb_stripe_fake::signature;
use serde_json::json;

async fn stored(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from stripe_events")
        .fetch_one(&world.cloud.admin)
        .await
        .expect("events")
}

#[tokio::test]
async fn forged_stale_and_replayed_webhooks_change_nothing() {
    let world = World::new().await;
    let body = json!({
        "id": "evt_x", "object": "event", "type": "invoice.paid",
        "created": START.unix_timestamp(), "data": {"object": {"id": "in_none"}},
    })
    .to_string();
    let now = START.unix_timestamp();
    let send = async |signature: &str, body: &str| {
        let call = world.cloud.post("/v1/stripe/webhook");
        let call = call.header("stripe-signature", signature);
        call.body("application/json", body.to_owned()).send().await
    };
    let right = signature(WEBHOOK_SECRET, now, body.as_bytes());
    for (what, header, sent) in [
        (
            "forged",
            signature("whsec_other", now, body.as_bytes()),
            body.clone(),
        ),
        ("changed", right.clone(), body.replace("in_none", "in_mine")),
        (
            "stale",
            signature(WEBHOOK_SECRET, now - 301, body.as_bytes()),
            body.clone(),
        ),
        (
            "early",
            signature(WEBHOOK_SECRET, now + 301, body.as_bytes()),
            body.clone(),
        ),
        ("unsigned", String::new(), body.clone()),
    ] {
        let answer = send(&header, &sent).await;
        answer.expect_problem(403, "forbidden");
        assert_eq!(stored(&world).await, 0, "{what}");
    }
    let nonsense = "{}".to_owned();
    let signed = signature(WEBHOOK_SECRET, now, nonsense.as_bytes());
    send(&signed, &nonsense)
        .await
        .expect_problem(400, "invalid_request");
    for _ in 0..3 {
        send(&right, &body).await.expect(204);
        assert_eq!(stored(&world).await, 1);
    }
}

#[tokio::test]
async fn an_event_whose_webhook_was_lost_is_found_in_the_list() {
    let world = World::new().await;
    let person = world.cloud.person("ada@example.com").await;
    // None of them comes.
    world.fake.set_faults(Faults {
        webhooks: std::iter::repeat_n(WebhookFault::Never, 20).collect(),
        ..Faults::default()
    });
    let saved = world.card_type(&person, "4242424242424242").await;
    assert_eq!(saved.status, 303);
    let collector = world.collector.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(lumadb_control_plane::collect::run(collector, async {
        let _ = stopped.await;
    }));
    while world.last4(&person).await.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(stop);
    running.await.expect("it ends");
}

#[tokio::test]
async fn webhooks_that_come_twice_late_and_in_another_order_have_one_effect() {
    let world = World::new().await;
    let person = world.person("4000000000000341").await;
    world.fake.set_faults(Faults {
        webhooks: [WebhookFault::Held, WebhookFault::Twice]
            .into_iter()
            .cycle()
            .take(40)
            .collect(),
        ..Faults::default()
    });
    let issued = world.issue(&person, 2900).await;
    let saved = world.card_type(&person, "4242424242424242").await;
    assert_eq!(saved.status, 303);
    // The page's own event may be among those that are held.
    world
        .until(async || {
            world.fake.release();
            world.is(&issued, InvoiceState::Paid).await
        })
        .await;
    world.fake.release();
    world.until(async || world.fake.deliveries() == 0).await;
    world
        .until(async || {
            let open: i64 =
                sqlx::query_scalar("select count(*) from stripe_events where handled_at is null")
                    .fetch_one(&world.cloud.admin)
                    .await
                    .expect("events");
            open == 0
        })
        .await;
    assert_eq!((world.cash().await, world.moved()), (2900, 2900));
    assert!(
        reply::post(&format!("{}/pay/cs_none", world.address), "")
            .await
            .status
            == 404
    );
}
