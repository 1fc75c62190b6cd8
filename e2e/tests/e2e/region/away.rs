//! What is away delays, and loses nothing; who shows a wrong token is not heard.

use super::operator::{Beacon, StandIn};
use super::{LIMIT, SYSTEM, World};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use lumadb_contract::cluster::LINK_SECRET;
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::proxy::Fault;
use lumadb_e2e::wait::until;
use tonic::Code;

#[tokio::test]
async fn a_cluster_that_is_away_delays_and_nothing_is_lost_or_doubled() -> Outcome<()> {
    let world = World::new().await?;
    let operator = StandIn::start(world.client.clone());
    let first = world.ada.create_database("first").await?;
    let first: DatabaseId = first.id.parse()?;

    world.proxy.plan(|_| Some(Fault::Lost));
    world.proxy.drop_watches();
    // What was known stays so, and what is asked waits.
    let asked = world.ada.request_database("second").await?.expect(201)?;
    let second: DatabaseId = asked.text_at("/database/id")?.parse()?;
    let retries = format!(
        "select count(*) from databases where id = '{}' and attempt > 1 and error like '%API server%'",
        second.uuid()
    );
    until("the cluster to be found away", LIMIT, || async {
        let count = world.cloud.control_sql(&retries).await?;
        Ok((count.trim() == "1").then_some(()))
    })
    .await?;
    world.ada.database_is(&first.to_string(), "running").await?;
    world.holds(&[first]).await?;

    world.proxy.plan(|_| None);
    world
        .ada
        .operation_succeeds(&asked.text_at("/operation/id")?)
        .await?;
    world.holds(&[first, second]).await?;

    // An object that somebody deletes is not made again as an empty one.
    let gone = second.host_label();
    world
        .databases()
        .delete(&gone, &DeleteParams::default())
        .await?;
    let given_up = format!(
        "select count(*) from databases where id = '{}' and observed = 'failed'
         and error like '%gone from the cluster%'",
        second.uuid()
    );
    until("the loss to be seen", LIMIT, || async {
        let look = format!(
            "update databases set look_at = now() where id = '{}'",
            second.uuid()
        );
        world.cloud.control_sql(&look).await?;
        let count = world.cloud.control_sql(&given_up).await?;
        Ok((count.trim() == "1").then_some(()))
    })
    .await?;
    world.holds(&[first]).await?;
    drop(operator);
    Ok(())
}

#[tokio::test]
async fn the_link_is_found_by_its_secret_and_takes_no_other_token() -> Outcome<()> {
    let world = World::new().await?;
    let found =
        || async { until("the link's Secret", LIMIT, || Beacon::read(&world.client)).await };
    let beacon = found().await?;
    for token in ["", "x", &forged(&beacon.token)?] {
        let refused = beacon.attach(token).await?.err().ok_or("it was let in")?;
        assert_eq!(refused.code(), Code::Unauthenticated, "{token}");
    }
    assert!(beacon.attach(&beacon.token).await?.is_ok());
    // One who trusts another authority does not reach it.
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let elsewhere = Beacon {
        address: beacon.address.clone(),
        authority: stranger.cert.pem(),
        token: beacon.token.clone(),
    };
    assert!(elsewhere.attach(&elsewhere.token).await.is_err());
    // One that is lost is laid down again.
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), SYSTEM);
    secrets
        .delete(LINK_SECRET, &DeleteParams::default())
        .await?;
    let again = found().await?;
    assert_eq!(again.address, beacon.address);
    assert!(again.attach(&again.token).await?.is_ok());
    Ok(())
}

/// The same token for another region: its signature is not right any more.
fn forged(token: &str) -> Outcome<String> {
    let mut parts = token.split('.');
    let (head, signature) = (
        parts.next().ok_or("no head")?,
        parts.nth(1).ok_or("no signature")?,
    );
    let claims = "eyJpc3MiOiJsdW1hZGItYXBpIn0";
    Ok(format!("{head}.{claims}.{signature}"))
}
