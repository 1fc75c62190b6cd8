//! Sealed samples in memory, in the order in which they are sent.

use lumadb_contract::id::IncarnationId;
use lumadb_contract::usage::{BATCH_SAMPLES_MAX, UsageSample};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Samples that were sent and are not acknowledged, at most. Beyond it nothing is sent, and new
/// samples replace one another instead of piling up.
const IN_FLIGHT_SAMPLES_MAX: usize = 1000;

/// What the spool holds on disk and the stream to the parent still has to bring over. Samples of
/// earlier incarnations come first.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    samples: VecDeque<UsageSample>,
    /// How many at the front were sent on the current stream.
    in_flight: usize,
    /// How many at the front were ever sent: they may have arrived and must not change.
    given_out: usize,
}

impl Outbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing inside can panic halfway through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, sample: UsageSample) {
        self.queue().samples.push_back(sample);
        self.filled.notify_one();
    }

    /// Takes the newest sample out if it never left the node and `replaceable` says so. Whoever
    /// takes it pushes another one with its sequence.
    pub(crate) fn take_newest(
        &self,
        replaceable: impl FnOnce(&UsageSample, usize) -> bool,
    ) -> Option<UsageSample> {
        let mut queue = self.queue();
        let unsent = queue.samples.len() > queue.given_out;
        let length = queue.samples.len();
        let newest = queue.samples.back()?;
        if unsent && replaceable(newest, length) {
            return queue.samples.pop_back();
        }
        None
    }

    /// The next samples to send, oldest first, at most [`BATCH_SAMPLES_MAX`]; empty when there are
    /// none or too many are under way.
    pub fn batch(&self) -> Vec<UsageSample> {
        let mut queue = self.queue();
        let room = IN_FLIGHT_SAMPLES_MAX.saturating_sub(queue.in_flight);
        let count = room
            .min(BATCH_SAMPLES_MAX)
            .min(queue.samples.len() - queue.in_flight);
        let batch = queue.samples.range(queue.in_flight..).take(count).cloned();
        let batch: Vec<_> = batch.collect();
        queue.in_flight += count;
        queue.given_out = queue.given_out.max(queue.in_flight);
        batch
    }

    /// A stream began: what was sent on an earlier one and not acknowledged is sent again.
    pub fn rewind(&self) {
        self.queue().in_flight = 0;
        self.filled.notify_one();
    }

    /// Forgets the samples of `incarnation` up to `sequence`.
    pub(crate) fn forget(&self, incarnation: IncarnationId, sequence: u64) {
        let mut queue = self.queue();
        let stored = |sample: &UsageSample| {
            sample.incarnation_id == incarnation && sample.sequence <= sequence
        };
        let count = |queue: &Queue, upto: usize| {
            let front = queue.samples.iter().take(upto);
            front.filter(|sample| stored(sample)).count()
        };
        queue.in_flight -= count(&queue, queue.in_flight);
        queue.given_out -= count(&queue, queue.given_out);
        queue.samples.retain(|sample| !stored(sample));
        drop(queue);
        // Room under the bound of what is under way may have come free.
        self.filled.notify_one();
    }

    pub(crate) fn samples_of(&self, incarnation: IncarnationId) -> Vec<UsageSample> {
        let queue = self.queue();
        let samples = queue.samples.iter();
        samples
            .filter(|sample| sample.incarnation_id == incarnation)
            .cloned()
            .collect()
    }

    pub fn is_empty(&self) -> bool {
        self.queue().samples.is_empty()
    }

    /// How many samples wait for their acknowledgement.
    pub fn len(&self) -> usize {
        self.queue().samples.len()
    }

    /// Completes when there may be something to send since the last call.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metering::record::tests::sample;

    fn sequences(samples: &[UsageSample]) -> Vec<u64> {
        samples.iter().map(|sample| sample.sequence).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_on_the_next_stream_and_never_changes() {
        let outbox = Outbox::default();
        for sequence in 1..=3 {
            outbox.push(sample(1, sequence, 0));
        }
        assert_eq!(sequences(&outbox.batch()), [1, 2, 3]);
        assert!(outbox.batch().is_empty());
        outbox.forget(sample(1, 0, 0).incarnation_id, 1);
        outbox.rewind();
        assert!(outbox.take_newest(|_, _| true).is_none());
        assert_eq!(sequences(&outbox.batch()), [2, 3]);
        outbox.push(sample(1, 4, 0));
        assert!(outbox.take_newest(|_, _| true).is_some());
    }

    #[test]
    fn a_message_has_a_bounded_number_of_samples_and_so_has_what_is_under_way() {
        let outbox = Outbox::default();
        for sequence in 1..=2000 {
            outbox.push(sample(1, sequence, 0));
        }
        let mut sent = 0;
        loop {
            let batch = outbox.batch();
            assert!(batch.len() <= BATCH_SAMPLES_MAX);
            if batch.is_empty() {
                break;
            }
            sent += batch.len();
        }
        assert_eq!(sent, IN_FLIGHT_SAMPLES_MAX);
    }

    #[test]
    fn an_acknowledgement_of_one_incarnation_leaves_the_others() {
        let outbox = Outbox::default();
        outbox.push(sample(1, 1, 0));
        outbox.push(sample(2, 1, 0));
        outbox.batch();
        outbox.forget(sample(2, 0, 0).incarnation_id, 9);
        outbox.rewind();
        assert_eq!(outbox.batch(), [sample(1, 1, 0)]);
    }
}
