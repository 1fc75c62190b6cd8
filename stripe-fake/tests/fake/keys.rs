use super::world::World;
use http::Method;

#[tokio::test]
async fn a_key_has_one_effect_for_a_day() {
    let world = World::new().await;
    let first = world
        .try_post("/v1/customers", "email=a@example.com", "k")
        .await;
    let again = world
        .try_post("/v1/customers", "email=a@example.com", "k")
        .await;
    assert_eq!(first, again);
    let other = world
        .try_post("/v1/customers", "email=b@example.com", "k")
        .await;
    assert_eq!(other.0, 400);
    assert_eq!(other.1["error"]["type"], "idempotency_error");
    assert_eq!(world.fake.executed("POST /v1/customers"), 1);

    world.clock.advance(24 * 3600 - 1);
    let late = world
        .try_post("/v1/customers", "email=a@example.com", "k")
        .await;
    assert_eq!(first, late);
    world.clock.advance(1);
    let expired = world
        .try_post("/v1/customers", "email=a@example.com", "k")
        .await;
    assert_ne!(first.1["id"], expired.1["id"]);
}

#[tokio::test]
async fn a_request_that_was_refused_unread_leaves_its_key_free() {
    let world = World::new().await;
    let (status, answer) = world.try_post("/v1/customers", "colour=red", "k").await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (400, Some("parameter_unknown"))
    );
    assert_eq!(world.try_post("/v1/customers", "name=A", "k").await.0, 200);
}

#[tokio::test]
async fn without_the_key_of_the_account_nothing_is_told() {
    let world = World::new().await;
    let customer = world.customer("pm_card_visa").await;
    let other = World::new().await;
    let path = format!("/v1/customers/{customer}");
    let answer = other
        .send(Method::GET, &path, "", None)
        .await
        .expect("as expected");
    assert_eq!(answer.0, 404);
    let unknown = world.send(Method::GET, "/v1/nothing/here", "", None).await;
    assert_eq!(unknown.expect("as expected").0, 404);
}

#[tokio::test]
async fn what_was_done_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("as expected");
    let path = || Some(folder.path().to_owned());
    let first = World::with(path(), None).await;
    let made = first.try_post("/v1/customers", "name=A", "k").await;
    drop(first);
    let second = World::with(path(), None).await;
    assert_eq!(second.try_post("/v1/customers", "name=A", "k").await, made);
    assert_eq!(second.fake.objects("customer").len(), 1);
    let next = second.post("/v1/customers", "name=B").await;
    assert_ne!(next["id"], made.1["id"]);
}

#[tokio::test]
async fn lists_come_in_pages_with_the_latest_first() {
    let world = World::new().await;
    for number in 0..5 {
        world
            .post(
                "/v1/customers",
                &format!("name={number}&metadata[n]={number}"),
            )
            .await;
    }
    let page = world.get("/v1/customers?limit=2").await;
    assert_eq!(page["has_more"], true);
    assert_eq!(page["data"][0]["name"], "4");
    let after = page["data"][1]["id"].as_str().expect("as expected");
    let page = world
        .get(&format!("/v1/customers?limit=3&starting_after={after}"))
        .await;
    assert_eq!(page["has_more"], false);
    assert_eq!(page["data"][2]["name"], "0");
    let found = world
        .get("/v1/customers/search?query=metadata['n']:'3'")
        .await;
    assert_eq!(found["data"][0]["name"], "3");
    assert_eq!(found["data"].as_array().expect("as expected").len(), 1);
}
