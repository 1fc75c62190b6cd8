//! Values: each is known and documented, and wrong ones are refused by name.

use super::{Helm, SYSTEM, chart};
use lumadb_e2e::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn wrong_values_are_refused_by_name() -> Outcome<()> {
    let helm = Helm::new().await?;
    // Values, and what the refusal says of them: where, and what is right.
    let wrong = [
        (json!({ "replica": 2 }), ["replica", "not allowed"]),
        (
            json!({ "operator": { "watchNamespaces": "a" } }),
            ["/operator", "watchNamespaces"],
        ),
        (json!({ "replicas": "two" }), ["/replicas", "integer"]),
        (json!({ "replicas": -1 }), ["/replicas", "minimum"]),
        (
            json!({ "image": { "digest": "sha256:abc" } }),
            ["/image/digest", "sha256"],
        ),
        (
            json!({ "image": { "pullPolicy": "Sometimes" } }),
            ["/image/pullPolicy", "IfNotPresent"],
        ),
        (
            json!({ "image": { "repository": "" } }),
            ["/image/repository", "minLength"],
        ),
        (
            json!({ "imagePullSecrets": ["registry"] }),
            ["/imagePullSecrets/0", "object"],
        ),
        (
            json!({ "operator": { "watchNamespace": "Tenants" } }),
            ["/operator/watchNamespace", "pattern"],
        ),
        (
            json!({ "operator": { "concurrency": 0 } }),
            ["/operator/concurrency", "minimum"],
        ),
        (
            json!({ "operator": { "concurrency": 70_000 } }),
            ["/operator/concurrency", "maximum"],
        ),
        (
            json!({ "operator": { "listenAddress": "::" } }),
            ["/operator/listenAddress", "pattern"],
        ),
        (
            json!({ "operator": { "objectStore": { "networks": ["10.0.0.1"] } } }),
            ["/operator/objectStore/networks/0", "pattern"],
        ),
        (
            json!({ "operator": { "objectStore": { "port": "https" } } }),
            ["/operator/objectStore/port", "integer"],
        ),
        (
            json!({ "operator": { "log": { "json": "yes" } } }),
            ["/operator/log/json", "boolean"],
        ),
        (
            json!({ "operator": { "tracesEndpoint": "collector:4317" } }),
            ["/operator/tracesEndpoint", "https?"],
        ),
        (
            json!({ "resources": { "limits": { "memory": "much" } } }),
            ["/resources/limits/memory", "pattern"],
        ),
        (
            json!({ "resources": { "request": {} } }),
            ["/resources", "request"],
        ),
        (
            json!({ "podLabels": { "a": 1 } }),
            ["/podLabels/a", "string"],
        ),
        (
            json!({ "monitoring": { "podMonitors": { "interval": "often" } } }),
            ["/monitoring/podMonitors/interval", "pattern"],
        ),
        (
            json!({ "edge": { "enabled": true } }),
            ["edge.region", "must be said"],
        ),
        (
            json!({ "edge": { "service": { "type": "ExternalName" } } }),
            ["/edge/service/type", "LoadBalancer"],
        ),
        (
            json!({ "edge": { "leaveSeconds": -1 } }),
            ["/edge/leaveSeconds", "minimum"],
        ),
        (
            json!({ "controlPlaneAccess": { "enabled": true, "namespace": SYSTEM } }),
            ["controlPlaneAccess.namespace", "operator's own"],
        ),
    ];
    for (values, words) in wrong {
        let refusal = helm.refusal(&values).await?;
        for word in words {
            assert!(refusal.contains(word), "{values}: {refusal}");
        }
    }
    Ok(())
}

/// Paths of all values that have a default, or of all that a schema knows.
fn paths(place: &Value, at: &str, inside: &impl Fn(&Value) -> Option<Value>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let Some(Value::Object(fields)) = inside(place) else {
        return all;
    };
    for (name, field) in &fields {
        let path = format!("{at}/{name}");
        all.extend(paths(field, &path, inside));
        all.insert(path);
    }
    all
}

#[test]
fn every_value_has_a_default_a_schema_and_a_comment() -> Outcome<()> {
    let text = std::fs::read_to_string(chart().join("values.yaml"))?;
    let values: Value = serde_saphyr::from_str(&text)?;
    let schema = std::fs::read_to_string(chart().join("values.schema.json"))?;
    let schema: Value = serde_json::from_str(&schema)?;
    let known = paths(&schema, "", &|place| {
        let properties = place.get("properties").cloned();
        assert!(
            properties.is_none() || place["additionalProperties"] == false,
            "{place} admits what it does not know"
        );
        properties
    });
    // What is in a map that the schema leaves open is not ours.
    let open = |path: &str| {
        let maps = ["/resources/requests/", "/resources/limits/", "/labels/"];
        maps.iter().any(|map| path.contains(map))
    };
    let given = paths(&values, "", &|place| {
        place.is_object().then(|| place.clone())
    });
    let given: BTreeSet<_> = given.into_iter().filter(|path| !open(path)).collect();
    let only_known: Vec<_> = known.difference(&given).collect();
    assert_eq!(
        only_known,
        ["/global", "/image/pullPolicy"]
            .iter()
            .filter(|path| !given.contains(**path))
            .collect::<Vec<_>>(),
        "known, and without a default"
    );
    let only_given: Vec<_> = given.difference(&known).collect();
    assert_eq!(only_given, [""; 0], "given, and not known");
    documented(&text);
    Ok(())
}

/// Sections and their fields come after a comment; what a pod has itself explains itself.
fn documented(text: &str) {
    let as_pods_have_it = [
        "podAnnotations",
        "podLabels",
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
    ];
    let mut above = "";
    for line in text.lines() {
        let is_section = line.starts_with(|letter: char| letter.is_ascii_lowercase());
        let name = line.split(':').next().unwrap_or_default();
        if is_section && !as_pods_have_it.contains(&name) {
            let opens = line.ends_with(':') && !line.starts_with("resources");
            assert!(above.starts_with('#') || opens, "{name} has no comment");
        }
        above = line;
    }
}
