//! What waits for the control plane: samples and questions that nobody has answered yet. It is no
//! more than one batch and one question a database, and every stream to the control plane begins
//! with all of it.

use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::cluster::RegionMessage;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::usage::UsageSample;
use lumadb_parent::Stored;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::sync::oneshot;

#[derive(Debug)]
struct Batch {
    number: u64,
    samples: Vec<UsageSample>,
    /// Of each incarnation, the last sequence that is not acknowledged.
    missing: HashMap<IncarnationId, u64>,
    stored: Stored,
    done: oneshot::Sender<Stored>,
}

#[derive(Debug)]
struct Question {
    number: u64,
    request: AllowanceRequest,
    answer: oneshot::Sender<Allowance>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    numbers: u64,
    batches: BTreeMap<DatabaseId, Batch>,
    questions: BTreeMap<DatabaseId, Question>,
    unsent_batches: BTreeSet<DatabaseId>,
    unsent_questions: BTreeSet<DatabaseId>,
}

impl Waiting {
    /// One that waits already for this database is of a stream that has ended.
    pub(super) fn add(
        &mut self,
        database: DatabaseId,
        samples: &[UsageSample],
    ) -> (u64, oneshot::Receiver<Stored>) {
        self.numbers += 1;
        let (done, stored) = oneshot::channel();
        let batch = Batch {
            number: self.numbers,
            samples: samples.to_vec(),
            missing: highest(samples),
            stored: Vec::new(),
            done,
        };
        self.batches.insert(database, batch);
        self.unsent_batches.insert(database);
        (self.numbers, stored)
    }

    pub(super) fn ask(
        &mut self,
        database: DatabaseId,
        request: &AllowanceRequest,
    ) -> (u64, oneshot::Receiver<Allowance>) {
        self.numbers += 1;
        let (answer, answered) = oneshot::channel();
        let question = Question {
            number: self.numbers,
            request: request.clone(),
            answer,
        };
        self.questions.insert(database, question);
        self.unsent_questions.insert(database);
        (self.numbers, answered)
    }

    /// Whoever asked or told does not wait any more.
    pub(super) fn withdraw(&mut self, database: DatabaseId, number: u64) {
        let batch = self.batches.get(&database);
        if batch.is_some_and(|batch| batch.number == number) {
            self.batches.remove(&database);
        }
        let question = self.questions.get(&database);
        if question.is_some_and(|question| question.number == number) {
            self.questions.remove(&database);
        }
    }

    /// Samples of an incarnation are stored up to this sequence.
    pub(super) fn acknowledge(
        &mut self,
        database: DatabaseId,
        incarnation: IncarnationId,
        sequence: u64,
    ) {
        let Some(batch) = self.batches.get_mut(&database) else {
            return;
        };
        let last = batch.missing.get(&incarnation).copied();
        if let Some(last) = last.filter(|last| *last <= sequence) {
            batch.missing.remove(&incarnation);
            batch.stored.push((incarnation, last));
        }
        if batch.missing.is_empty()
            && let Some(batch) = self.batches.remove(&database)
        {
            // Its stream may have ended meanwhile.
            let _ = batch.done.send(batch.stored);
        }
    }

    pub(super) fn answer(&mut self, database: DatabaseId, allowance: Allowance) {
        let question = self.questions.get(&database);
        if question.is_some_and(|question| question.request.number == allowance.number)
            && let Some(question) = self.questions.remove(&database)
        {
            let _ = question.answer.send(allowance);
        }
    }

    /// A new stream: nothing of what waits has been said on it.
    pub(super) fn begin(&mut self) {
        self.unsent_batches = self.batches.keys().copied().collect();
        self.unsent_questions = self.questions.keys().copied().collect();
    }

    /// What has not been said on this stream; from now on it has.
    pub(super) fn next(&mut self) -> Option<RegionMessage> {
        while let Some(database_id) = self.unsent_batches.pop_first() {
            if let Some(batch) = self.batches.get(&database_id) {
                let samples = batch.samples.clone();
                return Some(RegionMessage::Samples {
                    database_id,
                    samples,
                });
            }
        }
        while let Some(database_id) = self.unsent_questions.pop_first() {
            if let Some(question) = self.questions.get(&database_id) {
                let request = question.request.clone();
                return Some(RegionMessage::Allowance {
                    database_id,
                    request,
                });
            }
        }
        None
    }
}

/// The last sequence of each incarnation.
pub(super) fn highest(samples: &[UsageSample]) -> HashMap<IncarnationId, u64> {
    let mut highest: HashMap<IncarnationId, u64> = HashMap::new();
    for sample in samples {
        let high = highest.entry(sample.incarnation_id).or_default();
        *high = sample.sequence.max(*high);
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::usage::{UsageCounters, UsageGauges};
    use serde_json::json;
    use time::OffsetDateTime;

    fn database(number: u8) -> DatabaseId {
        format!("db_0000000000000000000000000{number}")
            .parse()
            .expect("an ID")
    }

    fn incarnation(number: u8) -> IncarnationId {
        format!("inc_0000000000000000000000000{number}")
            .parse()
            .expect("an ID")
    }

    fn sample(incarnation_id: IncarnationId, sequence: u64) -> UsageSample {
        UsageSample {
            incarnation_id,
            sequence,
            taken_at: OffsetDateTime::UNIX_EPOCH,
            counters: UsageCounters::default(),
            gauges: UsageGauges::default(),
            last: false,
        }
    }

    #[test]
    fn a_batch_is_stored_when_all_of_its_incarnations_are() {
        let mut waiting = Waiting::default();
        let samples = [
            sample(incarnation(1), 7),
            sample(incarnation(2), 1),
            sample(incarnation(2), 2),
        ];
        let (_, mut stored) = waiting.add(database(1), &samples);
        waiting.acknowledge(database(1), incarnation(1), 9);
        waiting.acknowledge(database(1), incarnation(2), 1);
        waiting.acknowledge(database(2), incarnation(2), 2);
        assert!(stored.try_recv().is_err());
        waiting.acknowledge(database(1), incarnation(2), 2);
        assert_eq!(
            stored.try_recv(),
            Ok(vec![(incarnation(1), 7), (incarnation(2), 2)])
        );
    }

    #[test]
    fn every_stream_begins_with_all_that_waits() {
        let mut waiting = Waiting::default();
        let (_, _stored) = waiting.add(database(1), &[sample(incarnation(1), 1)]);
        assert!(waiting.next().is_some() && waiting.next().is_none());
        waiting.begin();
        assert!(waiting.next().is_some() && waiting.next().is_none());
        waiting.acknowledge(database(1), incarnation(1), 1);
        waiting.begin();
        assert_eq!(waiting.next(), None);
    }

    #[test]
    fn what_nobody_waits_for_is_not_said() {
        let mut waiting = Waiting::default();
        let (first, _) = waiting.add(database(1), &[sample(incarnation(1), 1)]);
        let (second, _stored) = waiting.add(database(1), &[sample(incarnation(2), 1)]);
        waiting.withdraw(database(1), first);
        assert!(waiting.next().is_some(), "the second is not the first");
        waiting.withdraw(database(1), second);
        waiting.begin();
        assert_eq!(waiting.next(), None);
    }

    #[test]
    fn an_answer_is_to_its_own_question() {
        let mut waiting = Waiting::default();
        let request = serde_json::from_value(json!({
            "number": 4, "incarnation_id": incarnation(1), "meters": [],
        }))
        .expect("a question");
        let (_, mut answered) = waiting.ask(database(1), &request);
        let answer = |number: u64| -> Allowance {
            serde_json::from_value(json!({
                "number": number, "incarnation_id": incarnation(1),
                "upgrade_url": "", "renew_after_seconds": 1,
            }))
            .expect("an answer")
        };
        waiting.answer(database(1), answer(3));
        assert!(answered.try_recv().is_err());
        waiting.answer(database(1), answer(4));
        assert_eq!(answered.try_recv(), Ok(answer(4)));
    }
}
