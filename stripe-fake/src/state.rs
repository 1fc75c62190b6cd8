//! Everything that is kept, and the file that it is kept in.

use crate::cards::{Behavior, TestCard};
use crate::error::ApiError;
use crate::faults::{Faults, WebhookFault};
use crate::shapes::{set, shape};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// How long an idempotency key is known, seconds.
const KEY_SECONDS: i64 = 24 * 3600;

/// Version of the API whose shapes these are.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

/// The first answer to an idempotency key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Hash of method, path and body.
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) body: Value,
    at: i64,
}

/// A webhook that has not been taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) event: String,
    pub(crate) attempts: u32,
    pub(crate) held: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    counter: u64,
    objects: BTreeMap<String, Value>,
    behaviors: BTreeMap<String, Behavior>,
    keys: BTreeMap<String, Kept>,
    pub(crate) deliveries: Vec<Delivery>,
    /// What was asked of the server, for tests: how often each line `POST /v1/…` was executed.
    pub(crate) executed: BTreeMap<String, u64>,
    /// Set where something changed since the last write.
    #[serde(skip)]
    pub(crate) changed: bool,
    #[serde(skip)]
    pub(crate) faults: Faults,
}

impl State {
    pub(crate) fn load(file: &Path) -> io::Result<Self> {
        match std::fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes beside the file and renames.
    pub(crate) fn store(&self, file: &Path) -> io::Result<()> {
        let beside = file.with_extension("new");
        let mut written = std::fs::File::create(&beside)?;
        written.write_all(&serde_json::to_vec(self)?)?;
        written.sync_all()?;
        std::fs::rename(&beside, file)
    }

    /// A new identifier; those of a kind sort by their making.
    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}_{:014}", self.counter)
    }

    /// Makes an object of a shape and keeps it.
    pub(crate) fn make<const N: usize>(
        &mut self,
        kind: &str,
        prefix: &str,
        now: i64,
        fields: [(&str, Value); N],
    ) -> Value {
        let mut object = shape(kind);
        let id = self.new_id(prefix);
        set(&mut object, [("id", id.into()), ("created", now.into())]);
        set(&mut object, fields);
        self.put(&object);
        object
    }

    pub(crate) fn put(&mut self, object: &Value) {
        self.changed = true;
        let id = object["id"].as_str().unwrap_or_default();
        self.objects.insert(id.to_owned(), object.clone());
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.changed = true;
        self.objects.remove(id);
    }

    /// The object of this identifier and kind, such as `invoice`.
    pub(crate) fn get(&self, kind: &str, id: &str) -> Result<Value, ApiError> {
        let found = self.objects.get(id).filter(|o| o["object"] == kind);
        found.cloned().ok_or_else(|| ApiError::missing(kind, id))
    }

    /// All of a kind, the latest first.
    pub(crate) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let objects = self.objects.values().rev();
        objects.filter(move |object| object["object"] == kind)
    }

    /// Notes that something happened to an object, as it is now.
    pub(crate) fn event(&mut self, kind: &str, object: &Value, now: i64) {
        let event = self.make(
            "event",
            "evt",
            now,
            [
                ("type", kind.into()),
                ("api_version", API_VERSION.into()),
                ("data", json!({ "object": object })),
                ("pending_webhooks", 1.into()),
                ("request", json!({ "id": null, "idempotency_key": null })),
            ],
        );
        let fault = self.faults.of_webhook();
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        let times = match fault {
            Some(WebhookFault::Never) => 0,
            Some(WebhookFault::Twice) => 2,
            _ => 1,
        };
        for _ in 0..times {
            self.deliveries.push(Delivery {
                event: id.clone(),
                attempts: 0,
                held: fault == Some(WebhookFault::Held),
            });
        }
    }

    /// A payment method of a test card, attached to a customer.
    pub(crate) fn card_make(&mut self, card: TestCard, customer: &str, now: i64) -> Value {
        let last4 = card.number.get(12..).unwrap_or_default();
        let fingerprint = format!("fake{last4}");
        let method = self.make(
            "payment_method",
            "pm",
            now,
            [
                ("type", "card".into()),
                ("customer", customer.into()),
                ("allow_redisplay", "unspecified".into()),
                (
                    "card",
                    json!({
                        "brand": card.brand, "last4": last4, "exp_month": 12, "exp_year": 2040,
                        "funding": "credit", "country": "US", "fingerprint": fingerprint,
                        "display_brand": card.brand,
                    }),
                ),
            ],
        );
        let id = method["id"].as_str().unwrap_or_default().to_owned();
        self.behaviors.insert(id, card.behavior);
        self.event("payment_method.attached", &method, now);
        method
    }

    pub(crate) fn behavior(&self, method: &str) -> Behavior {
        self.behaviors
            .get(method)
            .copied()
            .unwrap_or(Behavior::Good)
    }

    pub(crate) fn kept(&self, key: &str, now: i64) -> Option<&Kept> {
        let kept = self.keys.get(key)?;
        (now - kept.at < KEY_SECONDS).then_some(kept)
    }

    pub(crate) fn keep(&mut self, key: &str, request: String, status: u16, body: Value, now: i64) {
        self.changed = true;
        self.keys.retain(|_, kept| now - kept.at < KEY_SECONDS);
        let kept = Kept {
            request,
            status,
            body,
            at: now,
        };
        self.keys.insert(key.to_owned(), kept);
    }
}
