//! Events: hints that something happened, pushed as webhooks and kept in a list.

use super::answer::Page;
use super::{Failure, PAGE_SIZE, Stripe};
use serde::Deserialize;
use stripe_core::event::ListEvent;
use stripe_types::RangeQueryTs;

/// The types that something follows from.
pub const EVENT_TYPES: [&str; 19] = [
    "checkout.session.completed",
    "invoice.created",
    "invoice.finalized",
    "invoice.finalization_failed",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "credit_note.created",
    "customer.updated",
    "payment_method.attached",
    "payment_method.detached",
];

/// What is read of an event: which object to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    /// Such as `invoice.paid`.
    pub kind: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Identifier of the object that it is about.
    pub object: String,
    /// Whose object it is, where the object says so.
    pub customer: Option<String>,
    /// The charge of a dispute, the invoice of a credit note.
    pub of: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event of Stripe's: {0}")]
pub struct InvalidEvent(String);

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    customer: Option<String>,
    charge: Option<String>,
    invoice: Option<String>,
}

impl Event {
    /// Reads an event out of the body of a webhook.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(raw: &[u8]) -> Result<Self, InvalidEvent> {
        let raw: Raw =
            serde_json::from_slice(raw).map_err(|error| InvalidEvent(error.to_string()))?;
        let object = raw.data.object;
        Ok(Self {
            id: raw.id,
            kind: raw.kind,
            created: raw.created,
            object: object.id.unwrap_or_default(),
            customer: object.customer,
            of: object.charge.or(object.invoice),
        })
    }
}

impl Stripe {
    /// Events since a moment, in seconds since 1970, as they are: one page, the latest first.
    pub async fn events(&self, from: i64, after: Option<&str>) -> Result<Page<String>, Failure> {
        let mut request = ListEvent::new()
            .created(RangeQueryTs::gte(from))
            .types(EVENT_TYPES.map(str::to_owned).to_vec())
            .limit(PAGE_SIZE);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        let page: Page<miniserde::json::Value> = self.read(&request).await?;
        Ok(Page {
            data: page.data.iter().map(miniserde::json::to_string).collect(),
            has_more: page.has_more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_the_object_to_look_at() {
        let raw = br#"{"id":"evt_1","object":"event","type":"charge.dispute.created","created":5,
            "data":{"object":{"id":"dp_1","object":"dispute","charge":"ch_1","new":{"a":1}}}}"#;
        let event = Event::parse(raw).expect("an event");
        assert_eq!(
            (event.object.as_str(), event.of.as_deref()),
            ("dp_1", Some("ch_1"))
        );
        for bad in ["", "{}", "[]", r#"{"id":1}"#] {
            assert!(Event::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
