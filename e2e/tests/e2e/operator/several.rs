//! Several operators, several databases, and one that is not understood.

use super::{
    LIMIT, NAME, Operator, SYSTEM, condition, create, database, databases, install, namespace,
    rights, until_settled,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;

const NAMESPACE: &str = "tenants";
const STRANGE: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1z";

#[tokio::test]
async fn one_of_two_operators_works_and_a_strange_database_stops_no_other() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let _machine = Machine::join(&cluster).await?;
    let client = cluster.client().await?;
    install(&client).await?;
    namespace(&client, SYSTEM).await?;
    namespace(&client, NAMESPACE).await?;
    let kubeconfig = rights(&cluster, &client).await?;
    let first = Operator::start_with(&kubeconfig, &[("LUMADB_OPERATOR_IDENTITY", "first")])?;
    until_leads(&first).await?;
    let second = Operator::start_with(&kubeconfig, &[("LUMADB_OPERATOR_IDENTITY", "second")])?;
    until_says(&second, "/health/ready", "\r\n\r\nready").await?;
    until_says(&second, "/metrics", "lumadb_operator_leader 0").await?;

    // Once the first has given back the lease the second does not wait for it to run out.
    first.stop().await?;
    until_leads(&second).await?;

    know_another_class(&client).await?;
    let api = databases(&client, NAMESPACE);
    let mut strange = database();
    strange["metadata"]["name"] = STRANGE.into();
    strange["spec"]["class"] = "Luxury".into();
    create(&api, strange).await?;
    create(&api, database()).await?;
    until_settled(&api).await?;
    until("the strange database to be reported", LIMIT, || async {
        let strange = api.get(STRANGE).await?;
        let conditions = strange.data["status"]["conditions"].to_string();
        let told = conditions.contains("this version of the operator does not understand it");
        Ok((told && condition(&strange, "Stalled") == "True").then_some(()))
    })
    .await?;
    for says in [
        "lumadb_operator_databases{phase=\"Ready\"} 1",
        "lumadb_operator_writes_total{write=\"create_pod\"} 1",
    ] {
        until_says(&second, "/metrics", says).await?;
    }

    // Whoever changes what the operator made finds it changed back.
    let services: Api<k8s_openapi::api::core::v1::Service> = Api::namespaced(client, NAMESPACE);
    let wrong = Patch::Merge(json!({ "spec": { "publishNotReadyAddresses": false } }));
    services
        .patch(NAME, &PatchParams::default(), &wrong)
        .await?;
    until("the service to be as before", LIMIT, || async {
        let service = json!(services.get(NAME).await?);
        Ok((service["spec"]["publishNotReadyAddresses"] == true).then_some(()))
    })
    .await?;
    second.stop().await
}

async fn until_leads(operator: &Operator) -> Outcome<()> {
    until_says(operator, "/metrics", "lumadb_operator_leader 1").await
}

async fn until_says(operator: &Operator, path: &str, words: &str) -> Outcome<()> {
    until(&format!("{path} to say {words}"), LIMIT, || async {
        let text = operator.ask(path).await?;
        Ok(text.contains(words).then_some(()))
    })
    .await
}

/// The definition of a version to come, which knows a class more.
async fn know_another_class(client: &Client) -> Outcome<()> {
    let path = tools::workspace().join("deploy/crds/lumadatabases.yaml");
    let text = std::fs::read_to_string(path)?;
    let definition: CustomResourceDefinition = serde_saphyr::from_str(&text)?;
    let mut definition = json!(definition);
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let class = &mut schema["properties"]["spec"]["properties"]["class"]["enum"];
    class
        .as_array_mut()
        .ok_or("the class has no values")?
        .push("Luxury".into());
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let parameters = PatchParams::apply("test").force();
    let name = "lumadatabases.lumadb.cloud";
    definitions
        .patch(name, &parameters, &Patch::Apply(definition))
        .await?;
    // The API server admits it a moment later.
    let api = databases(client, NAMESPACE);
    let mut trial = database();
    trial["spec"]["class"] = "Luxury".into();
    let trial = serde_json::from_value(trial)?;
    let dry = kube::api::PostParams {
        dry_run: true,
        ..kube::api::PostParams::default()
    };
    until("the class to be known", LIMIT, || async {
        api.create(&dry, &trial).await?;
        Ok(Some(()))
    })
    .await
}
