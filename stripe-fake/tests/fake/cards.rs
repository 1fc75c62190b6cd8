use super::world::World;
use http::Method;
use serde_json::Value;

async fn session(world: &World) -> (String, Value) {
    let customer = world.post("/v1/customers", "name=A").await;
    let id = customer["id"].as_str().expect("as expected").to_owned();
    let body = format!(
        "mode=setup&customer={id}&currency=usd&cancel_url=http://c/\
         &success_url=http://console/done?session={{CHECKOUT_SESSION_ID}}"
    );
    (id, world.post("/v1/checkout/sessions", &body).await)
}

async fn type_in(world: &World, session: &Value, fields: &str) -> (u16, String) {
    let url = session["url"].as_str().expect("as expected");
    world
        .send(Method::POST, url, fields, None)
        .await
        .expect("as expected")
}

#[tokio::test]
async fn a_card_is_saved_on_the_page_and_no_default_is_set() {
    let world = World::new().await;
    let (customer, session) = session(&world).await;
    let shown = world
        .send(
            Method::GET,
            session["url"].as_str().expect("as expected"),
            "",
            None,
        )
        .await;
    assert!(shown.expect("as expected").1.contains("4242"));
    let (status, location) = type_in(&world, &session, "number=4242+4242+4242+4242").await;
    let id = session["id"].as_str().expect("as expected");
    assert_eq!(
        (status, location),
        (303, format!("http://console/done?session={id}"))
    );

    let session = world.get(&format!("/v1/checkout/sessions/{id}")).await;
    assert_eq!(session["status"], "complete");
    let intent = session["setup_intent"].as_str().expect("as expected");
    let intent = world.get(&format!("/v1/setup_intents/{intent}")).await;
    assert_eq!(intent["status"], "succeeded");
    let cards = world
        .get(&format!("/v1/customers/{customer}/payment_methods"))
        .await;
    assert_eq!(cards["data"][0]["id"], intent["payment_method"]);
    assert_eq!(cards["data"][0]["card"]["last4"], "4242");
    let customer = world.get(&format!("/v1/customers/{customer}")).await;
    assert!(customer["invoice_settings"]["default_payment_method"].is_null());
}

#[tokio::test]
async fn a_card_that_is_declined_may_be_followed_by_another() {
    let world = World::new().await;
    let (_, session) = session(&world).await;
    for (number, told) in [
        ("4000000000000002", "declined"),
        ("4000000000009995", "insufficient funds"),
        ("4000000000000069", "expired"),
        ("1234", "invalid"),
        ("", "incomplete"),
    ] {
        let (status, page) = type_in(&world, &session, &format!("number={number}")).await;
        assert!(status == 200 && page.contains(told), "{number}: {page}");
    }
    assert_eq!(
        type_in(&world, &session, "number=4242424242424242").await.0,
        303
    );
    // It is closed then.
    assert_eq!(
        type_in(&world, &session, "number=4242424242424242").await.0,
        400
    );
}

#[tokio::test]
async fn a_bank_may_ask_the_holder() {
    let world = World::new().await;
    let (_, session) = session(&world).await;
    let card = "number=4000002500003155";
    let (_, page) = type_in(&world, &session, card).await;
    assert!(page.contains("is it you"), "{page}");
    let (_, page) = type_in(&world, &session, &format!("{card}&answer=refuse")).await;
    assert!(page.contains("unable to authenticate"), "{page}");
    assert_eq!(
        type_in(&world, &session, &format!("{card}&answer=approve"))
            .await
            .0,
        303
    );
}

#[tokio::test]
async fn a_session_ends_after_a_day() {
    let world = World::new().await;
    let (_, session) = session(&world).await;
    world.clock.advance(24 * 3600 + 1);
    assert_eq!(
        type_in(&world, &session, "number=4242424242424242").await.0,
        400
    );
}

#[tokio::test]
async fn the_portal_changes_cards() {
    let world = World::new().await;
    let customer = world.customer("pm_card_visa").await;
    let body = format!("customer={customer}&return_url=http://console/");
    let portal = world.post("/v1/billing_portal/sessions", &body).await;
    let url = portal["url"].as_str().expect("as expected");
    let fields = "number=5555555555554444";
    let (_, page) = world
        .send(Method::POST, url, fields, None)
        .await
        .expect("as expected");
    assert!(page.contains("mastercard"), "{page}");
    let found = world.get(&format!("/v1/customers/{customer}")).await;
    let default = &found["invoice_settings"]["default_payment_method"];
    let default = default.as_str().expect("as expected").to_owned();
    world
        .send(Method::POST, url, &format!("remove={default}"), None)
        .await;
    let cards = world
        .get(&format!("/v1/customers/{customer}/payment_methods"))
        .await;
    assert_eq!(cards["data"].as_array().expect("as expected").len(), 1);
    assert_eq!(cards["data"][0]["card"]["brand"], "visa");
}
