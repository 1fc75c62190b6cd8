//! What an object says of how it was built.
//!
//! A pod is restarted for what its owner asked, and not because an operator that came later builds
//! pods otherwise: that waits for the maintenance window. So a pod remembers both apart: `asked`,
//! the fields of the `LumaDatabase` that a running pod cannot take over, and `built`, a hash of all
//! that was built.

use super::{Built, annotation};
use crate::api::LumaDatabase;
use crate::canonical::digest;
use kube::ResourceExt;
use serde_json::{Map, Value};

/// What an object remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    built: String,
    asked: Option<Map<String, Value>>,
}

impl Stamp {
    /// What a found object remembers; `None` where it was not made by us.
    pub fn of(object: &impl Built) -> Option<Self> {
        let built = object.annotations().get(&annotation("built"))?.clone();
        let asked = object
            .annotations()
            .get(&annotation("asked"))
            .and_then(|text| serde_json::from_str(text).ok());
        Some(Self { built, asked })
    }

    /// Whether the whole was built alike.
    pub fn same_build(&self, other: &Self) -> bool {
        self.built == other.built
    }

    /// The first field that the owner has changed since. A field that one of the two does not know
    /// came or went with an operator, not with the owner.
    pub fn changed<'a>(&'a self, since: &Self) -> Option<&'a str> {
        let (now, before) = (self.asked.as_ref()?, since.asked.as_ref()?);
        now.iter()
            .find(|(key, value)| before.get(*key).is_some_and(|before| before != *value))
            .map(|(key, _)| key.as_str())
    }
}

/// Marks an object with the hash of its content.
pub fn stamp<K: Built>(mut object: K) -> K {
    let hash = digest(&object);
    object.annotations_mut().insert(annotation("built"), hash);
    object
}

/// Marks an object with the hash of `content` and with what was asked for.
pub(super) fn stamp_pod<K: Built>(mut object: K, hash: String, database: &LumaDatabase) -> K {
    let annotations = object.annotations_mut();
    annotations.insert(annotation("built"), hash);
    annotations.insert(
        annotation("asked"),
        Value::Object(asked(database)).to_string(),
    );
    object
}

/// What a running pod cannot take over. Compute is not among it: it is resized in place.
fn asked(database: &LumaDatabase) -> Map<String, Value> {
    Map::from_iter([
        ("class".to_owned(), database.spec.class.name().into()),
        (
            "engineVersion".to_owned(),
            database.spec.engine_version.into(),
        ),
    ])
}
