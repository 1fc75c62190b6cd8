use super::world::{START, World};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use lumadb_stripe_fake::faults::{Faults, WebhookFault};
use lumadb_stripe_fake::signature;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

type Sender = mpsc::UnboundedSender<(String, String)>;

/// Takes webhooks; each second one is refused at first.
async fn receiver() -> (String, mpsc::UnboundedReceiver<(String, String)>) {
    let (sender, taken) = mpsc::unbounded_channel();
    let take = async |State(sender): State<Sender>, headers: HeaderMap, body: String| {
        let signed = headers["stripe-signature"]
            .to_str()
            .expect("as expected")
            .to_owned();
        sender
            .send((signed, body))
            .map_or(StatusCode::GONE, |()| StatusCode::OK)
    };
    let router = Router::new().route("/hook", post(take)).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("as expected");
    let url = format!(
        "http://{}/hook",
        listener.local_addr().expect("as expected")
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, taken)
}

fn kind(body: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(body).expect("as expected");
    event["type"].as_str().expect("as expected").to_owned()
}

#[tokio::test]
async fn webhooks_are_signed_and_the_list_has_them_too() {
    let (url, mut taken) = receiver().await;
    let world = World::with(None, Some(url)).await;
    world.post("/v1/customers", "name=A").await;
    let (signed, body) = taken.recv().await.expect("as expected");
    assert_eq!(signed, signature("whsec_world", START, body.as_bytes()));
    let events = world.get("/v1/events?types[]=customer.created").await;
    let event: serde_json::Value = serde_json::from_str(&body).expect("as expected");
    assert_eq!(events["data"][0]["id"], event["id"]);
}

#[tokio::test]
async fn webhooks_come_twice_never_late_and_in_another_order() {
    let (url, mut taken) = receiver().await;
    let world = World::with(None, Some(url)).await;
    world.fake.set_faults(Faults {
        webhooks: [WebhookFault::Held, WebhookFault::Never, WebhookFault::Twice].into(),
        ..Faults::default()
    });
    let customer = world.post("/v1/customers", "name=A").await;
    let path = format!(
        "/v1/customers/{}",
        customer["id"].as_str().expect("as expected")
    );
    world.post(&path, "name=B").await;
    world
        .post(
            "/v1/invoices",
            &format!("customer={}", customer["id"].as_str().expect("as expected")),
        )
        .await;
    assert_eq!(
        kind(&taken.recv().await.expect("as expected").1),
        "invoice.created"
    );
    assert_eq!(
        kind(&taken.recv().await.expect("as expected").1),
        "invoice.created"
    );
    world.fake.release();
    assert_eq!(
        kind(&taken.recv().await.expect("as expected").1),
        "customer.created"
    );
}
