//! Samples and questions of one database, beside those of the others.

use super::super::super::Reports;
use super::stream::Outgoing;
use lumadb_contract::allowance::AllowanceRequest;
use lumadb_contract::cluster::ControlMessage;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::usage::UsageSample;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Batches of samples that wait to be stored, for each database; an operator that is ahead waits.
const BATCHES_WAITING_MAX: usize = 8;

/// Wait before a batch that could not be stored is tried again; doubles up to the second.
const STORE_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Longest time, at the end of a stream, for what came to be stored. What is not is sent again.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Lane {
    batches: mpsc::Sender<Vec<UsageSample>>,
    /// Only the last question of a node counts.
    questions: watch::Sender<Option<AllowanceRequest>>,
}

/// A lane for each database that has counted something or asked.
#[derive(Debug)]
pub(super) struct Lanes {
    reports: Reports,
    outgoing: Outgoing,
    by_database: HashMap<DatabaseId, Lane>,
    tasks: JoinSet<()>,
}

impl Lanes {
    pub(super) fn new(reports: Reports, outgoing: Outgoing) -> Self {
        Self {
            reports,
            outgoing,
            by_database: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    fn lane(&mut self, database: DatabaseId) -> &Lane {
        self.by_database.entry(database).or_insert_with(|| {
            let (batches, waiting) = mpsc::channel(BATCHES_WAITING_MAX);
            let (questions, asked) = watch::channel(None);
            let traffic = Traffic {
                database,
                reports: self.reports.clone(),
                outgoing: self.outgoing.clone(),
            };
            self.tasks.spawn(async move {
                tokio::join!(traffic.store(waiting), traffic.answer(asked));
            });
            Lane { batches, questions }
        })
    }

    pub(super) async fn samples(&mut self, database: DatabaseId, samples: Vec<UsageSample>) {
        let _ = self.lane(database).batches.send(samples).await;
    }

    pub(super) fn question(&mut self, database: DatabaseId, question: AllowanceRequest) {
        self.lane(database).questions.send_replace(Some(question));
    }

    /// Stores and answers what came.
    pub(super) async fn finish(mut self) {
        self.by_database.clear();
        let done = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FINISH_LIMIT, done).await;
    }
}

struct Traffic {
    database: DatabaseId,
    reports: Reports,
    outgoing: Outgoing,
}

impl Traffic {
    /// Stores batches in their order and says so. What is refused is neither acknowledged nor passed
    /// over: nothing more is taken of that database on this stream, and its node keeps it.
    async fn store(&self, mut batches: mpsc::Receiver<Vec<UsageSample>>) {
        let mut is_refused = false;
        while let Some(samples) = batches.recv().await {
            is_refused = is_refused || !self.store_batch(&samples).await;
        }
    }

    /// However long the database is away. False: refused for good.
    async fn store_batch(&self, samples: &[UsageSample]) -> bool {
        let database = self.database;
        let mut wait = STORE_RETRY.0;
        let stored = loop {
            match self.reports.samples(database, samples).await {
                Ok(stored) => break stored,
                Err(error) if error.is_transient() => {
                    tracing::warn!(%database, %error, "samples wait for the database");
                }
                Err(error) => {
                    tracing::error!(%database, %error, "samples were refused");
                    return false;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(STORE_RETRY.1);
        };
        for (incarnation_id, sequence) in stored {
            self.say(ControlMessage::SamplesStored {
                database_id: database,
                incarnation_id,
                sequence,
            })
            .await;
        }
        true
    }

    /// Without an answer the node asks again.
    async fn answer(&self, mut questions: watch::Receiver<Option<AllowanceRequest>>) {
        while questions.changed().await.is_ok() {
            let question = questions.borrow_and_update().clone();
            let Some(question) = question else { continue };
            match self.reports.allowance(self.database, &question).await {
                Ok(Some(allowance)) => {
                    self.say(ControlMessage::Allowance {
                        database_id: self.database,
                        allowance: Box::new(allowance),
                    })
                    .await;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(database = %self.database, %error, "a node was not told its limits");
                }
            }
        }
    }

    async fn say(&self, message: ControlMessage) {
        let _ = self.outgoing.send(Ok(message)).await;
    }
}
