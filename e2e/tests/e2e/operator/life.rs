//! The life of a database in a cluster: made, resized, grown, put to rest, kept and removed.

use super::{
    LIMIT, NAME, Operator, SYSTEM, change, condition, create, database, databases, install,
    instances, is_settled, namespace, pods_and_claims, rights, until_settled,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service, ServiceAccount};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::jiff::tz::TimeZone;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use lumadb_e2e::Outcome;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::machine::Machine;
use lumadb_e2e::wait::until;
use serde_json::{Value, json};
use std::path::Path;

const NAMESPACE: &str = "tenants";
const POD: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a-1";

struct World {
    databases: Api<DynamicObject>,
    instances: Api<DynamicObject>,
    pods: Api<Pod>,
    claims: Api<PersistentVolumeClaim>,
    client: Client,
}

impl World {
    fn new(client: &Client) -> Self {
        Self {
            databases: databases(client, NAMESPACE),
            instances: instances(client, NAMESPACE),
            pods: Api::namespaced(client.clone(), NAMESPACE),
            claims: Api::namespaced(client.clone(), NAMESPACE),
            client: client.clone(),
        }
    }

    async fn pod_uid(&self) -> Outcome<String> {
        Ok(self.pods.get(POD).await?.uid().unwrap_or_default())
    }

    async fn volume(&self) -> Outcome<Value> {
        let claim = self.claims.get(POD).await?;
        Ok(json!(claim.spec)["volumeName"].clone())
    }

    async fn until_gone(&self) -> Outcome<()> {
        until("the database to be gone", LIMIT, || async {
            let database = self.databases.get_opt(NAME).await?;
            let pod = self.pods.get_opt(POD).await?;
            let instance = self.instances.get_opt(POD).await?;
            let services: Api<Service> = Api::namespaced(self.client.clone(), NAMESPACE);
            let service = services.get_opt(NAME).await?;
            let gone = database.is_none() && pod.is_none() && instance.is_none();
            Ok((gone && service.is_none()).then_some(()))
        })
        .await
    }
}

#[tokio::test]
async fn a_database_lives_in_a_cluster() -> Outcome<()> {
    let cluster = Cluster::start().await?;
    let _machine = Machine::join(&cluster).await?;
    let client = cluster.client().await?;
    install(&client).await?;
    namespace(&client, SYSTEM).await?;
    namespace(&client, NAMESPACE).await?;
    let world = World::new(&client);
    let kubeconfig = rights(&cluster, &client).await?;
    let operator = Operator::start(&kubeconfig)?;

    create(&world.databases, database()).await?;
    until_settled(&world.databases).await?;
    objects_are_right(&world).await?;
    events_tell(&client).await?;
    resized_in_place(&world).await?;
    grown(&world).await?;
    rested(&world).await?;
    operator.stop().await?;
    let operator = an_upgrade_restarts_nothing(&kubeconfig, &world).await?;
    kept_and_removed(&world).await?;
    operator.stop().await
}

async fn objects_are_right(world: &World) -> Outcome<()> {
    let client = &world.client;
    let pod = json!(world.pods.get(POD).await?);
    assert_eq!(pod["status"]["qosClass"], "Guaranteed", "{pod}");
    let owner = &pod["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["name"]),
        (&json!("LumaDatabase"), &json!(NAME))
    );
    let claim = json!(world.claims.get(POD).await?);
    assert!(
        claim["metadata"].get("ownerReferences").is_none(),
        "{claim}"
    );
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    let service = json!(services.get(NAME).await?);
    assert_eq!(service["spec"]["clusterIP"], "None");
    let policies: Api<NetworkPolicy> = Api::namespaced(client.clone(), NAMESPACE);
    let policy = json!(policies.get(NAME).await?);
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let account = json!(accounts.get(NAME).await?);
    assert_eq!(account["automountServiceAccountToken"], false);
    let instance = world.instances.get(POD).await?;
    assert_eq!(instance.data["status"]["phase"], "Ready");
    assert_eq!(instance.data["status"]["pod"]["node"], "machine");
    let database = world.databases.get(NAME).await?;
    let status = &database.data["status"];
    assert_eq!(status["compute"], json!({ "cpu": "500m", "memory": "1Gi" }));
    assert_eq!(status["storage"]["capacity"], "2Gi");
    assert_eq!(condition(&database, "Ready"), "True");
    assert_eq!(condition(&database, "Stalled"), "False");
    Ok(())
}

async fn events_tell(client: &Client) -> Outcome<()> {
    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    until("an event of the pod", LIMIT, || async {
        let events = events.list(&ListParams::default()).await?;
        let told = events.iter().any(|event| {
            let regarding = event.regarding.as_ref();
            event.reason.as_deref() == Some("PodCreated")
                && regarding.and_then(|about| about.name.as_deref()) == Some(NAME)
        });
        Ok(told.then_some(()))
    })
    .await
}

async fn resized_in_place(world: &World) -> Outcome<()> {
    let before = world.pod_uid().await?;
    let compute = json!({ "cpu": "2", "memory": "3Gi" });
    change(&world.databases, json!({ "compute": compute })).await?;
    let database = until_compute(world, &compute).await?;
    assert_eq!(condition(&database, "Ready"), "True");
    assert_eq!(world.pod_uid().await?, before);
    let pod = json!(world.pods.get(POD).await?);
    assert_eq!(pod["status"]["qosClass"], "Guaranteed");

    // Another class is another quality of service, which a pod keeps for life.
    change(&world.databases, json!({ "class": "Shared" })).await?;
    until("another pod", LIMIT, || async {
        let pod = world.pods.get_opt(POD).await?;
        Ok(pod.filter(|pod| pod.uid().as_ref() != Some(&before)))
    })
    .await?;
    until_settled(&world.databases).await?;
    let pod = json!(world.pods.get(POD).await?);
    assert_eq!(pod["status"]["qosClass"], "Burstable");
    Ok(())
}

async fn until_compute(world: &World, compute: &Value) -> Outcome<DynamicObject> {
    until("the compute to be in force", LIMIT, || async {
        let database = world.databases.get(NAME).await?;
        let in_force = database.data["status"]["compute"] == *compute;
        Ok((in_force && is_settled(&database)).then_some(database))
    })
    .await
}

async fn grown(world: &World) -> Outcome<()> {
    let volume = world.volume().await?;
    let autogrow = json!({ "size": "4Gi", "autogrow": { "maximum": "6Gi" } });
    change(&world.databases, json!({ "storage": autogrow })).await?;
    until_capacity(world, "4Gi").await?;
    for (reported_gib, becomes) in [(4_u64, "5Gi"), (5, "6Gi")] {
        let capacity = reported_gib << 30;
        let report = json!({
            "apiVersion": "lumadb.cloud/v1alpha1",
            "kind": "LumaInstance",
            "metadata": { "name": POD },
            "status": { "volume": { "capacityBytes": capacity, "usedBytes": capacity / 100 * 90 } },
        });
        let parameters = PatchParams::apply("reporter").force();
        let patch = Patch::Apply(report);
        world
            .instances
            .patch_status(POD, &parameters, &patch)
            .await?;
        until_capacity(world, becomes).await?;
    }
    let capacity = 6_u64 << 30;
    let full = json!({ "status": { "volume": {
        "capacityBytes": capacity,
        "usedBytes": capacity / 100 * 99,
    }}});
    let patch = Patch::Merge(full);
    world
        .instances
        .patch_status(POD, &PatchParams::default(), &patch)
        .await?;
    until("the database to say that it fills up", LIMIT, || async {
        let database = world.databases.get(NAME).await?;
        Ok((condition(&database, "StorageLow") == "True").then_some(()))
    })
    .await?;
    assert_eq!(world.volume().await?, volume);
    Ok(())
}

async fn until_capacity(world: &World, capacity: &str) -> Outcome<()> {
    until("the volume to grow", LIMIT, || async {
        let database = world.databases.get(NAME).await?;
        let storage = &database.data["status"]["storage"];
        let grown = storage["capacity"] == capacity && is_settled(&database);
        Ok(grown.then_some(()))
    })
    .await
}

async fn rested(world: &World) -> Outcome<()> {
    let (before, volume) = (world.pod_uid().await?, world.volume().await?);
    change(&world.databases, json!({ "suspend": true })).await?;
    let database = until_settled(&world.databases).await?;
    assert_eq!(condition(&database, "Ready"), "False");
    let (pods, claims) = pods_and_claims(&world.client, NAMESPACE).await?;
    assert_eq!((pods.len(), claims.len()), (0, 1));
    change(&world.databases, json!({ "suspend": false })).await?;
    until_settled(&world.databases).await?;
    assert_ne!(world.pod_uid().await?, before);
    assert_eq!(world.volume().await?, volume);
    Ok(())
}

async fn an_upgrade_restarts_nothing(kubeconfig: &Path, world: &World) -> Outcome<Operator> {
    let before = world.pod_uid().await?;
    // A window that is not open within this day.
    let names = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    // The pod was made today.
    let made = world.pods.get(POD).await?.metadata.creation_timestamp;
    let today = made
        .ok_or("the pod has no age")?
        .0
        .to_zoned(TimeZone::UTC)
        .weekday();
    let today = usize::try_from(today.to_monday_zero_offset())?;
    let other = names[(today + 3) % names.len()];
    change(
        &world.databases,
        json!({ "maintenanceWindow": { "days": [other] } }),
    )
    .await?;
    let settings = [("LUMADB_OPERATOR_IMAGE", "lumadb/instance:next")];
    let operator = Operator::start_with(kubeconfig, &settings)?;
    until("the restart to wait for the window", LIMIT, || async {
        let database = world.databases.get(NAME).await?;
        let waits = condition(&database, "RestartPending") == "True";
        Ok((waits && is_settled(&database)).then_some(()))
    })
    .await?;
    assert_eq!(world.pod_uid().await?, before);
    Ok(operator)
}

async fn kept_and_removed(world: &World) -> Outcome<()> {
    let volume = world.volume().await?;
    world
        .databases
        .delete(NAME, &DeleteParams::default())
        .await?;
    world.until_gone().await?;
    assert_eq!(world.volume().await?, volume);

    // Made again under its name, it has its volume; and this time it goes with it.
    let mut again = database();
    again["spec"]["storage"]["size"] = "6Gi".into();
    again["spec"]["deletionPolicy"] = "Delete".into();
    create(&world.databases, again).await?;
    until_settled(&world.databases).await?;
    assert_eq!(world.volume().await?, volume);
    world
        .databases
        .delete(NAME, &DeleteParams::default())
        .await?;
    world.until_gone().await?;
    until("the volume to go", LIMIT, || async {
        Ok(world.claims.get_opt(POD).await?.is_none().then_some(()))
    })
    .await
}
