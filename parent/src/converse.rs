//! One stream with a node, after its hello.

use super::{Expected, Identity, Intake, Outgoing, Refused, Stored};
use lumadb_contract::allowance::AllowanceRequest;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::InstanceSpec;
use lumadb_contract::stream::{NodeMessage, ParentMessage};
use lumadb_contract::usage::{BATCH_SAMPLES_MAX, UsageSample};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

/// Batches of samples that wait to be stored, for each node.
const BATCHES_WAITING_MAX: usize = 15;

/// How long a batch that finds no place holds up what comes after it. A node whose words are not
/// taken for ten seconds dials anew.
const PLACE_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before samples that were refused are tried again: for its node and its log there is no hurry.
const REFUSED_RETRY: Duration = Duration::from_secs(5);

pub(super) struct Conversation<'a, I, S> {
    pub(super) database: DatabaseId,
    pub(super) stream: u64,
    pub(super) expected: &'a Expected<I>,
    pub(super) intake: &'a S,
    pub(super) outgoing: Outgoing,
}

impl<I: Identity, S: Intake> Conversation<'_, I, S> {
    /// Until either side ends it, another takes its place, or what the node showed holds no longer.
    pub(super) async fn hold(&self, messages: Box<Streaming<NodeMessage>>) {
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING_MAX);
        // Only the last question of a node counts.
        let (questions, asked) = watch::channel(None);
        let (behind, is_behind) = watch::channel(false);
        // A node that leaves has said its last samples: they are stored and answered before the
        // stream ends.
        let listening = async {
            tokio::join!(
                self.listen(messages, batches, questions, behind),
                self.answer_questions(asked)
            );
        };
        let storing = self.store_batches(waiting, is_behind);
        let hearing = async {
            let mut listening = std::pin::pin!(listening);
            let mut storing = std::pin::pin!(storing);
            tokio::select! {
                // Left behind: the node is to send again.
                () = &mut storing => {}
                () = &mut listening => storing.await,
            }
        };
        tokio::select! {
            () = hearing => {}
            () = self.push_specs() => {}
            // The node dialed again: this stream is its past.
            () = self.superseded() => {}
            () = self.outlived() => {}
        }
    }

    async fn superseded(&self) {
        let mut seen = self.expected.seen.subscribe();
        let _ = seen
            .wait_for(|seen| seen.stream.is_some_and(|open| open != self.stream))
            .await;
    }

    async fn outlived(&self) {
        match self.expected.identity.stream_lifetime() {
            Some(lifetime) => sleep(lifetime).await,
            None => std::future::pending().await,
        }
    }

    async fn push_specs(&self) {
        let mut specs = self.expected.spec.subscribe();
        loop {
            let spec = specs.borrow_and_update().clone();
            if let Some(spec) = spec {
                let message = ParentMessage::Spec(Box::new(InstanceSpec::clone(&spec)));
                if self.outgoing.send(Ok(message)).await.is_err() {
                    return;
                }
            }
            if specs.changed().await.is_err() {
                return;
            }
        }
    }

    async fn listen(
        &self,
        mut messages: Box<Streaming<NodeMessage>>,
        batches: mpsc::Sender<Vec<UsageSample>>,
        questions: watch::Sender<Option<AllowanceRequest>>,
        behind: watch::Sender<bool>,
    ) {
        loop {
            match messages.message().await {
                Ok(Some(NodeMessage::Status(status))) => {
                    self.expected.seen.send_modify(|seen| {
                        if seen.stream == Some(self.stream) {
                            seen.status = Some(*status);
                        }
                    });
                    self.intake.noticed(self.database);
                }
                Ok(Some(NodeMessage::Samples(samples))) => {
                    if samples.len() > BATCH_SAMPLES_MAX {
                        tracing::warn!(count = samples.len(), "a batch of samples is too large");
                        return;
                    }
                    // Behind one that was left with the node none is stored: they go in order.
                    if *behind.borrow() {
                        continue;
                    }
                    match Box::pin(timeout(PLACE_TIMEOUT, batches.send(samples))).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return,
                        Err(_) => {
                            tracing::debug!(database = %self.database, "samples stay with the node");
                            behind.send_replace(true);
                        }
                    }
                }
                Ok(Some(NodeMessage::Allowance(question))) => {
                    questions.send_replace(Some(question));
                }
                Ok(Some(NodeMessage::Hello(_) | NodeMessage::Unknown(_))) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn answer_questions(&self, mut questions: watch::Receiver<Option<AllowanceRequest>>) {
        while questions.changed().await.is_ok() {
            let question = questions.borrow_and_update().clone();
            let Some(question) = question else { continue };
            let answering = Box::pin(self.intake.allowance(self.database, &question));
            if let Some(answer) = answering.await {
                let message = ParentMessage::Allowance(Box::new(answer));
                if self.outgoing.send(Ok(message)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Ends when the node has said its last samples, or when those that waited are stored and others
    /// were left with the node, which sends them again on its next stream.
    async fn store_batches(
        &self,
        mut batches: mpsc::Receiver<Vec<UsageSample>>,
        behind: watch::Receiver<bool>,
    ) {
        loop {
            let samples = if *behind.borrow() {
                batches.try_recv().ok()
            } else {
                batches.recv().await
            };
            let Some(mut samples) = samples else { return };
            while samples.len() + BATCH_SAMPLES_MAX <= S::SAMPLES_AT_ONCE_MAX {
                let Ok(next) = batches.try_recv() else { break };
                samples.extend(next);
            }
            if !Box::pin(self.store(&samples)).await {
                return;
            }
        }
    }

    /// Whether the node still listens. What is refused is not passed over: it is tried again as long
    /// as the stream lasts, and what came before it is stored.
    async fn store(&self, samples: &[UsageSample]) -> bool {
        if let Ok(stored) = self.intake.store(self.database, samples).await {
            return self.say_stored(stored).await;
        }
        for samples in samples.chunks(BATCH_SAMPLES_MAX) {
            let stored = loop {
                match self.intake.store(self.database, samples).await {
                    Ok(stored) => break stored,
                    Err(Refused) => sleep(REFUSED_RETRY).await,
                }
            };
            if !self.say_stored(stored).await {
                return false;
            }
        }
        true
    }

    async fn say_stored(&self, stored: Stored) -> bool {
        for (incarnation_id, sequence) in stored {
            let message = ParentMessage::SamplesStored {
                incarnation_id,
                sequence,
            };
            if self.outgoing.send(Ok(message)).await.is_err() {
                return false;
            }
        }
        true
    }
}
