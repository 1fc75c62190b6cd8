use super::world::World;
use http::Method;
use lumadb_stripe_fake::faults::{Fault, Faults, Rule};

fn once(fault: Fault) -> Faults {
    Faults {
        rules: vec![Rule {
            method: Some("POST".into()),
            contains: "/v1/customers".into(),
            fault,
            times: 1,
        }],
        ..Faults::default()
    }
}

#[tokio::test]
async fn each_fault_is_what_it_says() {
    for (fault, status, executed) in [
        (Fault::TooMany, Some(429), 0),
        (Fault::ServerError, Some(500), 0),
        (Fault::BadGateway, Some(502), 0),
        (Fault::AnswerLost, None, 1),
    ] {
        let world = World::new().await;
        world.fake.set_faults(once(fault));
        let send = async || {
            let sent = world
                .send(Method::POST, "/v1/customers", "name=A", Some("k"))
                .await;
            sent.map(|(status, _)| status)
        };
        assert_eq!(send().await, status, "{fault:?}");
        assert_eq!(
            world.fake.executed("POST /v1/customers"),
            executed,
            "{fault:?}"
        );
        // The same request again, by the same key.
        assert_eq!(send().await, Some(200), "{fault:?}");
        assert_eq!(world.fake.objects("customer").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_error_may_stay_with_its_key() {
    let world = World::new().await;
    world.fake.set_faults(once(Fault::ServerErrorKept));
    for _ in 0..3 {
        assert_eq!(world.try_post("/v1/customers", "name=A", "k").await.0, 500);
    }
    assert_eq!(
        world.try_post("/v1/customers", "name=A", "other").await.0,
        200
    );
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let run = async || {
        let world = World::new().await;
        world.fake.set_faults(Faults {
            percent: 50,
            seed: 7,
            ..Faults::default()
        });
        let mut answers = Vec::new();
        for number in 0..40 {
            let key = number.to_string();
            let sent = world
                .send(Method::POST, "/v1/customers", "name=A", Some(&key))
                .await;
            answers.push(sent.map(|(status, _)| status));
        }
        answers
    };
    let first = run().await;
    assert_eq!(first, run().await);
    for seen in [Some(200), Some(429), Some(500), Some(502), None] {
        assert!(first.contains(&seen), "{seen:?}");
    }
}
