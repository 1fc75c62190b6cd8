//! The operator asks the API server for nothing that its watches tell it.

use super::{
    LIMIT, Operator, SYSTEM, change, create, database, databases, install, namespace, until_settled,
};
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::kubernetes::proxy::{Proxy, Seen, Sort};
use lumadb_e2e::wait::until;
use serde_json::json;

const NAMESPACE: &str = "tenants";

/// Renewals of the lease during which nothing else is asked.
const RENEWALS: usize = 3;

#[tokio::test]
async fn changes_cost_writes_alone_and_rest_costs_the_lease() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let _machine = Machine::join(&cluster).await?;
    let client = cluster.client().await?;
    install(&client).await?;
    namespace(&client, SYSTEM).await?;
    namespace(&client, NAMESPACE).await?;
    let proxy = Proxy::start(&cluster).await?;
    let operator = Operator::start(&proxy.kubeconfig()?)?;
    let api = databases(&client, NAMESPACE);
    create(&api, database()).await?;
    until_settled(&api).await?;

    let before = proxy.seen().len();
    change(&api, json!({ "compute": { "cpu": "2", "memory": "4Gi" } })).await?;
    until_settled(&api).await?;
    change(&api, json!({ "suspend": true })).await?;
    until_settled(&api).await?;
    change(&api, json!({ "suspend": false })).await?;
    until_settled(&api).await?;
    let asked = proxy.seen().split_off(before);
    let read: Vec<_> = asked
        .iter()
        .filter(|seen| seen.sort == Sort::Read)
        .collect();
    assert!(read.is_empty(), "{read:?}");

    // What the last change brought with it, such as an event, may still be under way.
    let renewals = |seen: &[Seen]| seen.iter().filter(|seen| is_renewal(seen)).count();
    let before = proxy.seen().len();
    let rest = async |count: usize| {
        until("the lease to be renewed", LIMIT, || async {
            let seen = proxy.seen().split_off(before);
            Ok((renewals(&seen) >= count).then_some(seen))
        })
        .await
    };
    let settling = rest(1).await?.len();
    let resting = rest(1 + RENEWALS).await?.split_off(settling);
    let other: Vec<_> = resting
        .iter()
        .filter(|seen| !is_renewal(seen) && seen.sort != Sort::Watch)
        .collect();
    assert!(other.is_empty(), "{other:?}");
    operator.stop().await
}

fn is_renewal(seen: &Seen) -> bool {
    seen.method == "PUT" && seen.path.contains("/leases/")
}
