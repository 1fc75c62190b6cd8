//! JSON in one order, so that equal content has equal text and an equal hash.

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The same value with the keys of every object sorted, and without keys that hold nothing.
pub(crate) fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(String, Value)> = fields.into_iter().collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            let kept = sorted
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, canonical(value)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        other => other,
    }
}

/// A short hash of what a value says; the same for equal values in every build.
pub(crate) fn digest<T: Serialize>(value: &T) -> String {
    // A value of ours that does not become JSON has no content to compare by.
    let value = serde_json::to_value(value).map_or(Value::Null, canonical);
    let hash = Sha256::digest(value.to_string().as_bytes());
    hash.iter().take(10).fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether everything that `asked` says is said by `found` too. Lists are compared item by item:
/// whoever fills in defaults adds fields to items and no items.
pub(crate) fn is_within(asked: &Value, found: &Value) -> bool {
    match (asked, found) {
        (Value::Object(asked), Value::Object(found)) => asked.iter().all(|(key, value)| {
            value.is_null() || found.get(key).is_some_and(|found| is_within(value, found))
        }),
        (Value::Array(asked), Value::Array(found)) => {
            asked.len() == found.len()
                && asked
                    .iter()
                    .zip(found)
                    .all(|(asked, found)| is_within(asked, found))
        }
        (asked, found) => asked == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_and_nothing_make_no_difference() {
        let one = json!({"b": [1, {"y": 1, "x": null}], "a": "text"});
        let other = json!({"a": "text", "c": null, "b": [1, {"y": 1}]});
        assert_eq!(digest(&one), digest(&other));
        assert_ne!(digest(&one), digest(&json!({"a": "text"})));
    }

    #[test]
    fn what_was_filled_in_is_no_difference() {
        let asked = json!({"ports": [{"port": 1}], "type": "x"});
        assert!(is_within(
            &asked,
            &json!({"ports": [{"port": 1, "protocol": "TCP"}], "type": "x", "ip": "1"})
        ));
        assert!(!is_within(&asked, &json!({"ports": [], "type": "x"})));
        assert!(!is_within(
            &asked,
            &json!({"ports": [{"port": 2}], "type": "x"})
        ));
    }
}
