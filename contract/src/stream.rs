//! The one stream between a node and its parent (`lumadb.node.v1.NodeParent/Attach`).
//!
//! The node dials, says [`NodeMessage::Hello`] and sends its state and its samples; the parent
//! sends specs and acknowledges samples. Either side may drop the stream at any time: the node
//! dials again, says hello again and sends again what was not acknowledged.

use crate::allowance::{Allowance, AllowanceRequest};
use crate::id::{DatabaseId, IncarnationId};
use crate::instance::{InstanceSpec, InstanceStatus};
use crate::usage::UsageSample;
use serde::{Deserialize, Serialize};

/// Version of this stream; grows when an old reader could misunderstand a new writer.
pub const STREAM_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeMessage {
    /// First message of every stream.
    Hello(NodeHello),
    /// The whole state, at each change of it and at least every ten seconds.
    Status(Box<InstanceStatus>),
    /// Sealed samples, oldest first, at most [`crate::usage::BATCH_SAMPLES_MAX`].
    Samples(Vec<UsageSample>),
    /// Asks for room under the organization's limits.
    Allowance(AllowanceRequest),
    /// A kind of message that this version does not know; ignored.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHello {
    pub stream_version: u32,
    pub database_id: DatabaseId,
    pub incarnation_id: IncarnationId,
    /// Version of the node's build, such as `0.1.0`.
    pub node_version: String,
    /// Process ID of the node, where parent and node share a machine.
    pub pid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentMessage {
    /// The desired state; sent after each hello and at each change.
    Spec(Box<InstanceSpec>),
    /// Samples of this incarnation up to this sequence are stored and may be forgotten.
    SamplesStored {
        incarnation_id: IncarnationId,
        sequence: u64,
    },
    /// The answer to the node's last question.
    Allowance(Box<Allowance>),
    /// A kind of message that this version does not know; ignored.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_later_version_is_read_as_unknown() {
        let later = r#"{"parole":{"word":"fish","amount":1000}}"#;
        let read: ParentMessage = serde_json::from_str(later).expect("readable");
        assert!(matches!(read, ParentMessage::Unknown(_)));
        let known = r#"{"samples_stored":{"incarnation_id":"inc_00000000000000000000000001","sequence":7,"new":1}}"#;
        let read: ParentMessage = serde_json::from_str(known).expect("readable");
        assert!(matches!(
            read,
            ParentMessage::SamplesStored { sequence: 7, .. }
        ));
    }
}
