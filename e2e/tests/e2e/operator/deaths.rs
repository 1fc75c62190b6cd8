//! The operator is killed after each write, and the API server fails: it comes to the same objects.

use super::snapshot::{difference, snapshot};
use super::{
    LIMIT, NAME, Operator, SYSTEM, change, create, database, databases, install, is_settled,
    namespace, until_settled,
};
use kube::api::{DeleteParams, DynamicObject};
use kube::{Api, Client};
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::kubernetes::proxy::{Fault, Half, Proxy, Sort};
use lumadb_e2e::wait::until;
use serde_json::{Value, json};
use std::path::Path;

const NAMESPACE: &str = "tenants";

/// Where nothing goes wrong: what is to be come to in the other.
const CALM: &str = "calm";

/// More writes than any change takes.
const DEATHS_MAX: usize = 60;

/// A cluster's client, and what an undisturbed operator makes of each change.
async fn world(cluster: &Cluster) -> Outcome<(Client, Vec<Vec<Value>>)> {
    let client = cluster.client().await?;
    install(&client).await?;
    for name in [SYSTEM, CALM, NAMESPACE] {
        namespace(&client, name).await?;
    }
    let operator = operator_of(CALM, &cluster.kubeconfig())?;
    let databases = databases(&client, CALM);
    create(&databases, database()).await?;
    let mut right = vec![at_rest(&client, &databases).await?];
    for asked in changes() {
        change(&databases, asked).await?;
        right.push(at_rest(&client, &databases).await?);
    }
    operator.stop().await?;
    Ok((client, right))
}

/// The objects once the machine, too, has done what the database asks for: it is slower than an
/// operator that is not disturbed.
async fn at_rest(client: &Client, databases: &Api<DynamicObject>) -> Outcome<Vec<Value>> {
    until("the database and its machine to rest", LIMIT, || async {
        let database = databases.get(NAME).await?;
        let (spec, status) = (&database.data["spec"], &database.data["status"]);
        let granted = spec["suspend"] == true || status["compute"] == spec["compute"];
        let grown = status["storage"]["capacity"] == spec["storage"]["size"];
        Ok((is_settled(&database) && granted && grown).then_some(()))
    })
    .await?;
    snapshot(client, CALM).await
}

/// An operator that looks at one namespace alone.
fn operator_of(namespace: &str, kubeconfig: &Path) -> Outcome<Operator> {
    Operator::start_with(kubeconfig, &[("LUMADB_OPERATOR_NAMESPACE", namespace)])
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
    let (client, right) = world(&cluster).await?;
    let databases = databases(&client, NAMESPACE);
    let proxy = Proxy::start(&cluster).await?;
    let before = snapshot(&client, NAMESPACE).await?;
    let mut deaths = 0;
    create(&databases, database()).await?;
    deaths += killed_until_settled(&proxy, &databases).await?;
    until_same(&client, &right[0]).await?;
    for (asked, right) in changes().into_iter().zip(&right[1..]) {
        change(&databases, asked).await?;
        deaths += killed_until_settled(&proxy, &databases).await?;
        until_same(&client, right).await?;
    }
    databases.delete(NAME, &DeleteParams::default()).await?;
    let operator = operator_of(NAMESPACE, &proxy.kubeconfig()?)?;
    until_same(&client, &before).await?;
    operator.kill()?;
    // A creation alone writes as many objects.
    assert!(deaths >= 12, "it died {deaths} times");
    Ok(())
}

/// Starts the operator again and again, each time for one write, until nothing is left to write.
async fn killed_until_settled(proxy: &Proxy, databases: &Api<DynamicObject>) -> Outcome<usize> {
    for deaths in 0..DEATHS_MAX {
        proxy.cut_after(1);
        let operator = operator_of(NAMESPACE, &proxy.kubeconfig()?)?;
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

/// Waits until the objects are those that came of it where nothing went wrong: none besides, none
/// missing. A pod that was ended goes a moment later.
async fn until_same(client: &Client, right: &[Value]) -> Outcome<()> {
    until("the same objects", LIMIT, || async {
        let found = snapshot(client, NAMESPACE).await?;
        if found == right {
            return Ok(Some(()));
        }
        Err(difference(&found, right).into())
    })
    .await
}

#[tokio::test]
async fn a_failing_api_server_delays_and_changes_nothing() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let _machine = Machine::join(&cluster).await?;
    let (client, right) = world(&cluster).await?;
    let databases = databases(&client, NAMESPACE);
    let proxy = Proxy::start(&cluster).await?;
    // Half of the requests go wrong, each in one of the ways in which it can.
    let of_writes = [
        Fault::TooMany,
        Fault::Internal,
        Fault::Lost,
        Fault::AnswerLost,
    ];
    let of_reads = [Fault::Gone, Fault::Internal, Fault::Lost, Fault::TooMany];
    let half = Half::default();
    proxy.plan(move |seen| {
        let faults = match seen.sort {
            Sort::Write => of_writes,
            Sort::Read | Sort::Watch => of_reads,
            Sort::Aside => return None,
        };
        half.picked(seen)
            .map(|picked| faults[picked % faults.len()])
    });
    let operator = operator_of(NAMESPACE, &proxy.kubeconfig()?)?;
    let watched = async || {
        until("the operator to watch", LIMIT, || async {
            Ok((proxy.watches() > 0).then_some(()))
        })
        .await
    };
    create(&databases, database()).await?;
    until_settled(&databases).await?;
    until_same(&client, &right[0]).await?;
    for (asked, right) in changes().into_iter().zip(&right[1..]) {
        watched().await?;
        proxy.drop_watches();
        change(&databases, asked).await?;
        watched().await?;
        proxy.expire_watches();
        until_settled(&databases).await?;
        until_same(&client, right).await?;
    }
    operator.stop().await
}
