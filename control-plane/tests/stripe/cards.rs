use super::world::World;
use serde_json::json;

#[tokio::test]
async fn a_card_that_was_saved_is_charged_from_then_on() {
    let world = World::new().await;
    let person = world.cloud.person("ada@example.com").await;
    assert_eq!(world.last4(&person).await, None);
    world.card_save(&person, "4242424242424242").await;
    assert_eq!(world.last4(&person).await.as_deref(), Some("4242"));
    let customer = world.fake.objects("customer").remove(0);
    assert_eq!(
        customer["metadata"]["lumadb_organization"],
        person.organization.to_string()
    );
    let default = &customer["invoice_settings"]["default_payment_method"];
    assert_eq!(*default, world.fake.objects("payment_method")[0]["id"]);
}

#[tokio::test]
async fn a_card_that_is_declined_is_not_saved() {
    let world = World::new().await;
    let person = world.cloud.person("ada@example.com").await;
    let reply = world.card_type(&person, "4000000000000002").await;
    assert!(
        reply.status == 200 && reply.body.contains("declined"),
        "{}",
        reply.body
    );
    world.until(async || world.fake.deliveries() == 0).await;
    assert_eq!(world.last4(&person).await, None);
    world.card_save(&person, "5555555555554444").await;
}

#[tokio::test]
async fn the_portal_is_a_page_and_a_card_removed_there_is_gone() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    let path = format!("/v1/organizations/{}/portal", person.organization);
    let page = world.cloud.post(&path).cookie(&person.cookie).send().await;
    page.expect(201);
    let method = world.fake.objects("payment_method").remove(0);
    let body = format!("remove={}", method["id"].as_str().expect("an ID"));
    super::world::reply::post(&page.text("/url"), &body).await;
    world
        .until(async || world.last4(&person).await.is_none())
        .await;
}

#[tokio::test]
async fn a_page_comes_back_to_the_console_alone() {
    let world = World::new().await;
    let person = world.cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/card", person.organization);
    for bad in ["//evil.example", "https://evil.example", ""] {
        let call = world.cloud.post(&path).cookie(&person.cookie);
        let answer = call.json(&json!({ "return_path": bad })).send().await;
        answer.expect_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn without_stripe_there_are_no_pages_and_the_rest_goes_on() {
    let cloud = crate::support::TestCloud::new().await;
    let person = cloud.person("ada@example.com").await;
    let path = format!("/v1/organizations/{}/card", person.organization);
    let answer = cloud.get(&path).cookie(&person.cookie).send().await;
    answer.expect_problem(409, "conflict");
    let hook = cloud
        .post("/v1/stripe/webhook")
        .json(&json!({}))
        .send()
        .await;
    hook.expect_problem(409, "conflict");
}

#[tokio::test]
async fn a_plan_that_was_chosen_begins_when_the_card_is_saved() {
    let world = World::new().await;
    let person = world.cloud.person("ada@example.com").await;
    let plan = async || {
        let account = world.cloud.billing_of(&person, "billing").await;
        account["plan_id"].as_str().expect("a plan").to_owned()
    };
    let chosen = world.cloud.plan_change(&person, "pro-starter").await;
    chosen.expect(201);
    assert_eq!(chosen.body["plan_change"]["state"], "waiting");
    let declined = world.card_type(&person, "4000000000000002").await;
    assert!(declined.body.contains("declined"), "{}", declined.body);
    world.until(async || world.fake.deliveries() == 0).await;
    assert_eq!(plan().await, "free");

    world.card_save(&person, "4242424242424242").await;
    assert_eq!(plan().await, "pro-starter");
    // Seven and a half days of thirty are left.
    world.until(async || world.moved() == 725).await;
    world.until(async || world.cash().await == 725).await;
}
