//! Bodies that are not what is asked for, made from the API's own document: whatever route is added
//! is tried too.

use crate::support::{Answer, TestCloud};
use http::Method;
use serde_json::{Map, Value, json};

/// A route that takes a body: method, path, schema of the body.
fn routes_with_bodies() -> Vec<(Method, String, Value)> {
    let document = lumadb_control_plane::http::openapi();
    let document = serde_json::to_value(document).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = body["$ref"].as_str() else {
                continue;
            };
            let pointer = name.trim_start_matches('#');
            let schema = document.pointer(pointer).expect("a schema").clone();
            let method = method.to_uppercase().parse().expect("a method");
            routes.push((method, path.clone(), schema));
        }
    }
    routes
}

/// Types that a property may have, as the document says; a reference is to an object or to a word.
fn types(property: &Value) -> Vec<&str> {
    if let Some(choices) = property["oneOf"].as_array() {
        return choices.iter().flat_map(types).collect();
    }
    if let Some(name) = property["$ref"].as_str() {
        let is_word = name.ends_with("/Durability");
        return vec![if is_word { "string" } else { "object" }];
    }
    match &property["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    }
}

/// Something of the right type.
fn fitting(property: &Value) -> Value {
    match types(property)[0] {
        "string" if property["format"] == "uuid" => json!("01935d3e-8f00-7abc-8def-0123456789ab"),
        "string" if property["format"] == "email" => json!("ada@example.com"),
        "string" => json!("a_fitting_one"),
        "integer" => json!(7),
        "boolean" => json!(true),
        // Refused, and so told by the test.
        _ => Value::Null,
    }
}

fn good(schema: &Value) -> Map<String, Value> {
    let required = schema["required"].as_array().into_iter().flatten();
    required
        .map(|name| name.as_str().expect("a name"))
        .map(|name| (name.to_owned(), fitting(&schema["properties"][name])))
        .collect()
}

/// Values that are of no type that the property may have.
fn misfits(property: &Value) -> Vec<Value> {
    let types = types(property);
    let all = [
        ("string", json!("text")),
        ("integer", json!(7)),
        ("boolean", json!(true)),
        ("null", Value::Null),
        ("array", json!(["text"])),
        ("object", json!({ "a": 1 })),
        ("number", json!(1.5)),
    ];
    all.into_iter()
        .filter(|(kind, _)| !types.contains(kind))
        .map(|(_, value)| value)
        .collect()
}

#[tokio::test]
async fn every_body_is_refused_with_the_field_at_fault() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let (database, _) = cloud.created(&ada, "first").await;
    let mut tried = 0;
    let mut wrong = Vec::new();
    for (method, path, schema) in routes_with_bodies() {
        assert_eq!(schema["additionalProperties"], false, "{method} {path}");
        let path = path
            .replace("{organization_id}", &ada.organization.to_string())
            .replace("{project_id}", &ada.project.to_string())
            .replace("{database_id}", &database.to_string());
        assert!(
            !path.contains('{'),
            "{path} names what this test does not know"
        );
        let send = async |body: &Map<String, Value>| -> Answer {
            let call = cloud.call(method.clone(), &path).cookie(&ada.cookie);
            call.json(&Value::Object(body.clone())).send().await
        };
        let mut refused = async |body: &Map<String, Value>, field: &str| {
            let answer = send(body).await;
            tried += 1;
            let mut faults = answer.body["errors"].as_array().into_iter().flatten();
            if answer.status != 400 || !faults.any(|fault| fault["field"] == field) {
                wrong.push(format!("{method} {path} {field}: {}", answer.raw));
            }
        };
        let mut body = good(&schema);
        body.insert("colour".into(), json!("red"));
        refused(&body, "colour").await;
        for (name, property) in schema["properties"].as_object().expect("properties") {
            for misfit in misfits(property) {
                let mut body = good(&schema);
                body.insert(name.clone(), misfit);
                refused(&body, name).await;
            }
            if good(&schema).contains_key(name) {
                let mut body = good(&schema);
                body.remove(name);
                refused(&body, name).await;
            }
            // A link that is too long is a link that is unknown.
            let Some(max) = property["maxLength"].as_u64().filter(|_| name != "token") else {
                continue;
            };
            if path == "/v1/auth/log-in" {
                // Nobody can have such an address: it is told apart from no other.
                continue;
            }
            let mut body = good(&schema);
            let long = "a".repeat(usize::try_from(max).expect("a length") + 1);
            body.insert(name.clone(), json!(long));
            refused(&body, name).await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 150, "only {tried} were tried");
    let still = cloud.database(&ada, database).await;
    assert_eq!(still["name"], "first");
}
