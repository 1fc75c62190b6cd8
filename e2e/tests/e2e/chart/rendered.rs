//! What Helm makes of the chart, without a cluster.

use super::{Helm, RELEASE, SYSTEM, TENANTS, chart, committed, documents, everything, found, key};
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// An object without what the chart adds to each.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("labels");
    }
    object
}

/// With numbers as YAML has them: 30 and 30.0 are one.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(all) => all.iter().map(plain).collect(),
        Value::Object(all) => {
            let fields = all.iter();
            fields
                .map(|(name, field)| (name.clone(), plain(field)))
                .collect()
        }
        other => other.clone(),
    }
}

/// Kinds by which rights are given.
fn is_about_rights(object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    kind == "ServiceAccount" || kind.contains("Role")
}

/// These objects are rendered as they are committed, labels aside.
fn assert_same(rendered: &[Value], committed: &[Value]) -> Outcome<()> {
    for object in committed {
        let rendered = bare(found(rendered, &key(object))?);
        assert_eq!(plain(&rendered), plain(object));
    }
    Ok(())
}

#[tokio::test]
async fn helm_finds_nothing_to_complain_of() -> Outcome<()> {
    let helm = Helm::new().await?;
    for values in [json!({}), everything()] {
        let mut lint = helm.command("lint");
        lint.arg("--strict").arg(chart()).args(["--values"]);
        tools::run(lint.arg(helm.file(&values)?)).await?;
    }
    let text = std::fs::read_to_string(chart().join("Chart.yaml"))?;
    let about: Value = serde_saphyr::from_str(&text)?;
    for version in ["version", "appVersion"] {
        assert_eq!(about[version], env!("CARGO_PKG_VERSION"), "{version}");
    }
    Ok(())
}

#[tokio::test]
async fn rights_service_and_definitions_are_those_that_are_committed() -> Outcome<()> {
    let helm = Helm::new().await?;
    let rights = committed("rbac.yaml")?;
    let by_default = helm.objects(&json!({})).await?;
    assert_same(&by_default, &rights)?;
    assert_same(&by_default, &committed("service.yaml")?)?;
    let given = by_default.iter().filter(|object| is_about_rights(object));
    assert_eq!(given.count(), rights.len(), "rights that are not committed");

    let of_control_plane = committed("control-plane-rbac.yaml")?;
    let with_everything = helm.objects(&everything()).await?;
    assert_same(&with_everything, &rights)?;
    assert_same(&with_everything, &of_control_plane)?;
    let given = with_everything
        .iter()
        .filter(|object| is_about_rights(object));
    assert_eq!(given.count(), rights.len() + of_control_plane.len());

    for file in ["crds/lumadatabases.yaml", "crds/lumainstances.yaml"] {
        let mut definition = committed(file)?.remove(0);
        definition["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
        assert_same(&by_default, &[definition])?;
    }
    Ok(())
}

/// The chart's links lead out of its folder: a package holds what is behind them.
#[tokio::test]
async fn a_package_is_whole() -> Outcome<()> {
    let helm = Helm::new().await?;
    let mut package = helm.command("package");
    package.arg(chart()).arg("--destination");
    tools::run(package.arg(helm.folder.path())).await?;
    let version = env!("CARGO_PKG_VERSION");
    let file = format!("lumadb-operator-{version}.tgz");
    let values = everything();
    let mut template = helm.command("template");
    template
        .arg(RELEASE)
        .arg(helm.folder.path().join(file))
        .args(["--namespace", SYSTEM, "--values"]);
    let packed = tools::run(template.arg(helm.file(&values)?)).await?;
    assert_eq!(documents(&packed)?, helm.objects(&values).await?);
    Ok(())
}

#[tokio::test]
async fn what_is_switched_off_is_not_there() -> Outcome<()> {
    let helm = Helm::new().await?;
    let off = json!({
        "replicas": 1,
        "rbac": { "create": false },
        "crds": { "install": false },
        "networkPolicy": { "enabled": false },
    });
    let rendered = helm.objects(&off).await?;
    let mut keys: Vec<_> = rendered.iter().map(key).collect();
    keys.sort();
    let name = format!("{SYSTEM} lumadb-operator");
    assert_eq!(
        keys,
        [format!("Deployment {name}"), format!("Service {name}")]
    );
    Ok(())
}

#[tokio::test]
async fn edges_are_led_to_leave_in_time_and_have_no_account() -> Outcome<()> {
    let helm = Helm::new().await?;
    let edge = |service: Value, replicas: u32| {
        json!({ "edge": {
            "enabled": true,
            "region": "eu",
            "certificateSecret": "edge-certificate",
            "leaveSeconds": 25,
            "replicas": replicas,
            "service": service,
        }})
    };
    let objects = helm.objects(&edge(json!({}), 2)).await?;
    let name = format!("{SYSTEM} lumadb-edge");
    let service = found(&objects, &format!("Service {name}"))?;
    assert_eq!(service["spec"]["externalTrafficPolicy"], "Local");
    let deployment = found(&objects, &format!("Deployment {name}"))?;
    let template = &deployment["spec"]["template"];
    let pod = &template["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(plain(&pod["terminationGracePeriodSeconds"]), json!(45.0));
    // What databases' own policies let in, and what the others of this release select.
    for kind in ["NetworkPolicy", "PodDisruptionBudget"] {
        let selector = &found(&objects, &format!("{kind} {name}"))?["spec"];
        let selector = match kind {
            "NetworkPolicy" => &selector["podSelector"],
            _ => &selector["selector"],
        };
        assert_eq!(*selector, deployment["spec"]["selector"], "{kind}");
        assert_eq!(
            selector["matchLabels"]["app.kubernetes.io/name"],
            "lumadb-edge"
        );
    }
    let labels = &template["metadata"]["labels"];
    let selected = service["spec"]["selector"].as_object();
    for (label, value) in selected.into_iter().flatten() {
        assert_eq!(&labels[label], value);
    }
    let set = pod["containers"][0]["env"].as_array().into_iter().flatten();
    let set: BTreeMap<_, _> = set
        .filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?)))
        .collect();
    assert_eq!(set["LUMADB_REGION_NAME"], "eu");
    assert_eq!(set["LUMADB_EDGE_LEAVE_SECONDS"], "25");
    assert_eq!(set["LUMADB_EDGE_SESSIONS_MAX"], "10000");

    let inside = json!({ "type": "ClusterIP" });
    let objects = helm.objects(&edge(inside, 1)).await?;
    let service = found(&objects, &format!("Service {name}"))?;
    assert!(service["spec"].get("externalTrafficPolicy").is_none());
    assert!(found(&objects, &format!("PodDisruptionBudget {name}")).is_err());
    Ok(())
}

#[tokio::test]
async fn what_counts_is_scraped_where_it_listens() -> Outcome<()> {
    let helm = Helm::new().await?;
    let objects = helm.objects(&everything()).await?;
    for name in ["lumadb-operator", "lumadb-edge"] {
        let monitor = found(&objects, &format!("PodMonitor {SYSTEM} {name}"))?;
        let deployment = found(&objects, &format!("Deployment {SYSTEM} {name}"))?;
        assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
        assert_eq!(monitor["spec"]["selector"], deployment["spec"]["selector"]);
        let ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"].as_array();
        let scraped = &monitor["spec"]["podMetricsEndpoints"][0]["port"];
        let mut names = ports.into_iter().flatten().map(|port| &port["name"]);
        assert!(names.any(|port| port == scraped), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn nodes_are_let_in_before_the_network_knows_their_pods() -> Outcome<()> {
    let helm = Helm::new().await?;
    let objects = helm.objects(&json!({})).await?;
    let policy = found(&objects, &format!("NetworkPolicy {SYSTEM} lumadb-operator"))?;
    let rules = policy["spec"]["ingress"].as_array();
    let for_nodes: Vec<_> = rules
        .into_iter()
        .flatten()
        .filter(|rule| rule["ports"][0]["port"] == "nodes")
        .collect();
    assert_eq!(for_nodes.len(), 1);
    assert!(for_nodes[0].get("from").is_none(), "{policy}");
    Ok(())
}

/// What may be done: group, resource, verb, and the name that it is bound to, if any.
type Rights = BTreeMap<String, Vec<Value>>;

/// Where which rules hold for the operator: by namespace, `*` for the whole cluster.
fn rights_by_place(objects: &[Value]) -> Outcome<Rights> {
    let mut rights = Rights::new();
    for binding in objects {
        let kind = binding["kind"].as_str().unwrap_or_default();
        if !kind.ends_with("RoleBinding") || binding["subjects"][0]["name"] != "lumadb-operator" {
            continue;
        }
        assert_eq!(binding["subjects"][0]["namespace"], SYSTEM);
        let namespace = binding["metadata"]["namespace"].as_str();
        let role = &binding["roleRef"];
        let (kind, name) = (role["kind"].as_str(), role["name"].as_str());
        let place = match kind {
            Some("Role") => namespace.unwrap_or_default(),
            _ => "-",
        };
        let wanted = format!(
            "{} {place} {}",
            kind.unwrap_or_default(),
            name.unwrap_or_default()
        );
        let rules = found(objects, &wanted)?["rules"].as_array().cloned();
        rights
            .entry(namespace.unwrap_or("*").to_owned())
            .or_default()
            .extend(rules.unwrap_or_default());
    }
    Ok(rights)
}

#[tokio::test]
async fn one_namespace_takes_the_same_rights_in_it_alone() -> Outcome<()> {
    let helm = Helm::new().await?;
    let everywhere = rights_by_place(&helm.objects(&json!({})).await?)?;
    let values = json!({ "operator": { "watchNamespace": TENANTS } });
    let in_one = rights_by_place(&helm.objects(&values).await?)?;

    let is_review = |rule: &&Value| rule["apiGroups"] == json!(["authentication.k8s.io"]);
    let (reviews, rest): (Vec<&Value>, Vec<&Value>) = everywhere["*"].iter().partition(is_review);
    assert_eq!(reviews.len(), 1);
    assert_eq!(in_one["*"].iter().collect::<Vec<_>>(), reviews);
    assert_eq!(in_one[TENANTS].iter().collect::<Vec<_>>(), rest);
    let of_its_own = everywhere[SYSTEM].iter().chain(rest);
    for rule in of_its_own {
        assert!(in_one[SYSTEM].contains(rule), "{rule}");
    }
    assert_eq!(in_one.len(), 3);

    // Its own namespace may be that.
    let values = json!({ "operator": { "watchNamespace": SYSTEM } });
    assert_eq!(
        rights_by_place(&helm.objects(&values).await?)?[SYSTEM],
        in_one[SYSTEM]
    );
    Ok(())
}

#[tokio::test]
async fn images_and_places_are_those_of_the_values() -> Outcome<()> {
    let helm = Helm::new().await?;
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let values = json!({
        "image": { "repository": "registry.example:5000/luma/cloud", "tag": "next" },
        "instanceImage": { "tag": "not taken", "digest": digest },
    });
    let refused = helm.refusal(&values).await?;
    assert!(refused.contains("/instanceImage/tag"), "{refused}");
    let values = json!({
        "image": { "repository": "registry.example:5000/luma/cloud", "tag": "next" },
        "instanceImage": { "tag": "old", "digest": digest },
    });
    let objects = helm.objects(&values).await?;
    let deployment = found(&objects, &format!("Deployment {SYSTEM} lumadb-operator"))?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example:5000/luma/cloud:next");
    let set = container["env"].as_array().into_iter().flatten();
    let set: BTreeMap<_, _> = set
        .filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?)))
        .collect();
    assert_eq!(
        set["LUMADB_OPERATOR_IMAGE"],
        format!("lumadb/instance@{digest}")
    );
    assert_eq!(
        set["LUMADB_OPERATOR_PARENT"],
        format!("https://lumadb-operator.{SYSTEM}.svc:8443")
    );
    assert_eq!(
        set["LUMADB_OPERATOR_OBJECT_STORE_NETWORKS"],
        "0.0.0.0/0,::/0"
    );
    Ok(())
}
