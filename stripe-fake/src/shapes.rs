//! What objects look like before they are filled: the fields that the API's description requires.

use serde_json::Value;
use std::sync::LazyLock;

static SHAPES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("shapes.json")).unwrap_or_default());

/// An empty object of a kind, such as `invoice`.
pub(crate) fn shape(kind: &str) -> Value {
    SHAPES[kind].clone()
}

/// Sets fields of an object.
pub(crate) fn set<const N: usize>(object: &mut Value, fields: [(&str, Value); N]) {
    for (name, value) in fields {
        object[name] = value;
    }
}

/// A whole number in an object; zero where there is none.
pub(crate) fn integer(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or_default()
}

/// A text in an object; empty where there is none.
pub(crate) fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}
