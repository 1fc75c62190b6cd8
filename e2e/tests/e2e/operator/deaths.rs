//! The operator is killed after each write, and the API server fails: it comes to the same objects.

use super::{
    LIMIT, NAME, Operator, SYSTEM, change, create, database, databases, install, is_settled,
    namespace, pods_and_claims, until_settled,
};
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client};
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::kubernetes::proxy::{Fault, Proxy, Sort};
use lumadb_e2e::wait::until;
use serde_json::{Value, json};

const NAMESPACE: &str = "tenants";

/// More writes than any change takes.
const DEATHS_MAX: usize = 60;

async fn world(cluster: &Cluster) -> Outcome<(Client, Api<DynamicObject>)> {
    let client = cluster.client().await?;
    install(&client).await?;
    namespace(&client, SYSTEM).await?;
    namespace(&client, NAMESPACE).await?;
    let databases = databases(&client, NAMESPACE);
    Ok((client, databases))
}

/// What is asked, one after the other.
fn changes() -> [Value; 5] {
    [
        json!({ "compute": { "cpu": "2", "memory": "4Gi" } }),
        json!({ "storage": { "size": "5Gi" }, "deletionPolicy": "Delete" }),
        json!({ "class": "Shared" }),
        json!({ "suspend": true }),
        json!({ "suspend": false }),
    ]
}

#[tokio::test]
async fn an_operator_that_dies_after_every_write_comes_to_the_same_objects() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let _machine = Machine::join(&cluster).await?;
    let (client, databases) = world(&cluster).await?;
    let proxy = Proxy::start(&cluster).await?;
    let mut deaths = 0;
    create(&databases, database()).await?;
    deaths += killed_until_settled(&proxy, &databases).await?;
    for asked in changes() {
        change(&databases, asked).await?;
        deaths += killed_until_settled(&proxy, &databases).await?;
        nothing_is_doubled(&client, &databases).await?;
    }
    // A creation alone writes as many objects.
    assert!(deaths >= 12, "it died {deaths} times");
    Ok(())
}

/// Starts the operator again and again, each time for one write, until nothing is left to write.
async fn killed_until_settled(proxy: &Proxy, databases: &Api<DynamicObject>) -> Outcome<usize> {
    for deaths in 0..DEATHS_MAX {
        proxy.cut_after(1);
        let operator = Operator::start(&proxy.kubeconfig()?)?;
        let cut = tokio::select! {
            () = proxy.until_cut() => true,
            settled = until_settled(databases) => {
                settled?;
                false
            }
        };
        operator.kill()?;
        proxy.mend();
        if !cut {
            return Ok(deaths);
        }
        if is_settled(&databases.get(NAME).await?) {
            return Ok(deaths + 1);
        }
    }
    Err("it does not come to rest".into())
}

async fn nothing_is_doubled(client: &Client, databases: &Api<DynamicObject>) -> Outcome<()> {
    let database = databases.get(NAME).await?;
    let suspended = database.data["spec"]["suspend"] == true;
    let (pods, claims) = pods_and_claims(client, NAMESPACE).await?;
    assert_eq!((pods.len(), claims.len()), (usize::from(!suspended), 1));
    let instances = super::instances(client, NAMESPACE);
    let found = instances.list(&ListParams::default()).await?;
    assert_eq!(found.items.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_failing_api_server_delays_and_changes_nothing() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let _machine = Machine::join(&cluster).await?;
    let (client, databases) = world(&cluster).await?;
    let proxy = Proxy::start(&cluster).await?;
    // Of what the operator writes every second time goes wrong, in one of the ways in which it can.
    let faults = [
        Fault::TooMany,
        Fault::Internal,
        Fault::Lost,
        Fault::AnswerLost,
    ];
    proxy.plan(move |seen| {
        let turn = usize::try_from(seen.number).unwrap_or_default();
        (seen.sort == Sort::Write && turn % 2 == 0).then(|| faults[turn / 2 % faults.len()])
    });
    let operator = Operator::start(&proxy.kubeconfig()?)?;
    create(&databases, database()).await?;
    until_settled(&databases).await?;
    for asked in changes() {
        proxy.drop_watches();
        change(&databases, asked).await?;
        proxy.expire_watches();
        until_settled(&databases).await?;
        nothing_is_doubled(&client, &databases).await?;
    }
    until("the operator to watch again", LIMIT, || async {
        Ok((proxy.watches() > 0).then_some(()))
    })
    .await?;
    operator.stop().await
}
