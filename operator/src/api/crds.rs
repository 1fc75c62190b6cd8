//! The definitions of our resources, for `deploy/crds` and for `lumadb-cloud operator crds`.

use super::database::LumaDatabase;
use super::instance::LumaInstance;
use crate::canonical::canonical;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

#[derive(Debug, thiserror::Error)]
#[error("the definition of a resource cannot be written: {0}")]
pub struct CrdError(String);

/// Every definition.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, CrdError> {
    [LumaDatabase::crd(), LumaInstance::crd()]
        .iter()
        .map(|crd| {
            let mut value = serde_json::to_value(crd).map_err(wrong)?;
            mend(&mut value);
            serde_json::from_value(value).map_err(wrong)
        })
        .collect()
}

/// Every definition as YAML: the name of its file, and what stands in it.
pub fn crd_files() -> Result<Vec<(String, String)>, CrdError> {
    crds()?
        .iter()
        .map(|crd| {
            let value = serde_json::to_value(crd).map_err(wrong)?;
            let text = serde_saphyr::to_string(&canonical(value)).map_err(wrong)?;
            Ok((format!("{}.yaml", crd.spec.names.plural), text))
        })
        .collect()
}

/// Every definition in one stream, as `kubectl apply -f -` takes it.
pub fn crds_yaml() -> Result<String, CrdError> {
    let mut stream = String::new();
    for (_, text) in crd_files()? {
        stream.push_str("---\n");
        stream.push_str(&text);
    }
    Ok(stream)
}

fn wrong(error: impl std::fmt::Display) -> CrdError {
    CrdError(error.to_string())
}

/// Kubernetes knows signed integers alone and warns of others; their bounds stand beside them. And a
/// field that may be left out is no field that may be null: what is null is left out.
fn mend(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let known = match fields.get("format").and_then(Value::as_str) {
                Some("uint8" | "uint16" | "uint32") => Some("int32"),
                Some("uint64") => Some("int64"),
                _ => None,
            };
            if let Some(known) = known {
                fields.insert("format".into(), known.into());
            }
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
            }
            fields.values_mut().for_each(mend);
        }
        Value::Array(items) => items.iter_mut().for_each(mend),
        _ => {}
    }
}
