//! The door of the platform's own services: one role, no password.

use super::world::{SERVICE_ROLE, Wishes, World};
use lumadb_data_plane::agent::Sessions;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

async fn connect(world: &World, role: &str) -> Result<Client, Error> {
    let mut config = Config::new();
    config.host_path(world.services()).user(role).dbname("main");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn who(client: &Client) -> Result<String, Error> {
    let who = "select current_user || ' ' || current_database()";
    Ok(client.query_one(who, &[]).await?.get(0))
}

#[tokio::test]
async fn services_are_one_role_without_a_password_and_nobody_else() {
    let world = World::new(Wishes::default()).await;
    let client = connect(&world, SERVICE_ROLE).await.expect("in");
    let expected = format!("{SERVICE_ROLE} main");
    assert_eq!(who(&client).await.expect("answered"), expected);
    // No role of tenants comes this way.
    for role in ["app", "nobody", "postgres"] {
        let error = connect(&world, role).await.expect_err("refused");
        let said = error.as_db_error().expect("an answer");
        assert!(said.message().contains("own services"), "{role}: {said}");
    }
    let sleeping = client.cancel_token();
    let (slept, cancelled) = tokio::join!(client.simple_query("select pg_sleep(60)"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sleeping.cancel_query(NoTls).await
    });
    cancelled.expect("sent");
    let error = slept.expect_err("cancelled");
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
}

#[tokio::test]
async fn services_stay_whatever_roles_tenants_have_and_end_with_the_database() {
    let world = World::new(Wishes::default()).await;
    let client = connect(&world, SERVICE_ROLE).await.expect("in");
    who(&client).await.expect("answered");
    let mut serving = (*world.state.serving()).clone();
    serving.roles.clear();
    world.state.serve(serving.clone());
    who(&client).await.expect("answered");
    serving.sessions = Sessions::Ended;
    world.state.serve(serving);
    let error = loop {
        match who(&client).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => break error,
        }
    };
    let ended = error.is_closed() || error.code() == Some(&SqlState::ADMIN_SHUTDOWN);
    assert!(ended, "{error}");
}
