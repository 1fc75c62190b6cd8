//! A thousand nodes that send what they counted, to the store itself and through the parent of
//! nodes that the worker has.

use crate::world::World;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::rpc::NodeParentClient;
use lumadb_contract::stream::{NodeHello, NodeMessage, ParentMessage, STREAM_VERSION};
use lumadb_contract::usage::UsageSample;
use lumadb_contract::usage::{BATCH_SAMPLES_MAX, SEAL_INTERVAL_MS, UsageCounters, UsageGauges};
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::runtime::Reports;
use lumadb_control_plane::runtime::local::parent::{
    NodeUser, Parent, SAMPLES_AT_ONCE_MAX, SampleSink, parent_listen, parent_serve,
};
use lumadb_control_plane::store::Store;
use lumadb_e2e::Outcome;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tonic::transport::Endpoint;

/// Transactions at once: what the worker's pool holds.
const CONNECTIONS_MAX: u32 = 16;

pub(super) struct Nodes {
    databases: Vec<DatabaseId>,
    clock: Clock,
    reports: Reports,
    socket: PathBuf,
}

/// What one node sends, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Batches {
    database: DatabaseId,
    incarnation: IncarnationId,
    samples: Arc<Vec<Vec<UsageSample>>>,
}

impl Nodes {
    pub(super) fn new(world: &World, databases: Vec<DatabaseId>) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(world.cloud.control_dir().join("run"))
            .ssl_mode(PgSslMode::Disable)
            .username("lumadb_app")
            .database("control");
        let clock = Clock::system();
        Self {
            databases,
            reports: Reports::new(Store::open(options, CONNECTIONS_MAX), clock.clone()),
            clock,
            socket: world.cloud.data_dir().join("bench.sock"),
        }
    }

    /// So many full batches of each node, of an incarnation of its own.
    pub(super) fn batches(&self, each: usize) -> Vec<Batches> {
        let count = each * BATCH_SAMPLES_MAX;
        let step = time::Duration::milliseconds(SEAL_INTERVAL_MS.cast_signed());
        let first = self.clock.now() - step * i32::try_from(count).unwrap_or(i32::MAX);
        let node = |database| {
            let incarnation = IncarnationId::from_uuid(self.clock.new_uuid());
            let samples: Vec<UsageSample> = (1..=count as u64)
                .map(|sequence| sample(incarnation, sequence, first))
                .collect();
            let batches = samples.chunks(BATCH_SAMPLES_MAX).map(<[_]>::to_vec);
            Batches {
                database,
                incarnation,
                samples: Arc::new(batches.collect()),
            }
        };
        self.databases.iter().copied().map(node).collect()
    }

    /// Samples a second, durable, handed to the store in this process as much at once as the
    /// parent of nodes hands it of a node that is behind.
    pub(super) async fn store(&self, nodes: &[Batches]) -> Outcome<f64> {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for share in nodes.chunks(nodes.len().div_ceil(CONNECTIONS_MAX as usize)) {
            let (share, reports) = (share.to_vec(), self.reports.clone());
            tasks.spawn(async move {
                for node in share {
                    for waiting in node.samples.chunks(SAMPLES_AT_ONCE_MAX / BATCH_SAMPLES_MAX) {
                        reports.samples(node.database, &waiting.concat()).await?;
                    }
                }
                Outcome::Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(throughput(nodes, start))
    }

    /// Samples a second, durable and acknowledged: a stream for each node, all at once, to a
    /// parent of nodes as the worker has it, in this process.
    pub(super) async fn stream(&self, nodes: &[Batches]) -> Outcome<f64> {
        let parent = Parent::new(SampleSink::Reports(self.reports.clone()));
        for node in nodes {
            parent.expect(node.database, NodeUser(None));
        }
        let serving = tokio::spawn(parent_serve(parent, parent_listen(&self.socket)?));
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for node in nodes {
            let (node, socket) = (node.clone(), self.socket.clone());
            tasks.spawn(async move { send(&node, &socket).await });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        let throughput = throughput(nodes, start);
        serving.abort();
        Ok(throughput)
    }
}

/// Sends everything, and waits until it may all be forgotten.
async fn send(node: &Batches, socket: &Path) -> Outcome<()> {
    let path = socket.to_owned();
    let dial = tower::service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move {
            let stream = UnixStream::connect(path).await?;
            std::io::Result::Ok(hyper_util::rt::TokioIo::new(stream))
        }
    });
    let channel = Endpoint::from_static("http://parent")
        .connect_with_connector(dial)
        .await?;
    let hello = NodeMessage::Hello(NodeHello {
        stream_version: STREAM_VERSION,
        database_id: node.database,
        incarnation_id: node.incarnation,
        node_version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
    });
    let all = node.samples.clone();
    let batches = (0..all.len()).map(move |index| NodeMessage::Samples(all[index].clone()));
    // The stream stays open until everything is acknowledged.
    let messages = tokio_stream::once(hello)
        .chain(tokio_stream::iter(batches))
        .chain(tokio_stream::pending());
    let mut heard = NodeParentClient::new(channel)
        .attach(messages)
        .await?
        .into_inner();
    let last = node.samples.iter().map(Vec::len).sum::<usize>() as u64;
    while let Some(message) = heard.message().await? {
        if matches!(message, ParentMessage::SamplesStored { sequence, .. } if sequence == last) {
            return Ok(());
        }
    }
    Err("the parent left before everything was stored".into())
}

fn sample(incarnation: IncarnationId, sequence: u64, first: time::OffsetDateTime) -> UsageSample {
    let step = time::Duration::milliseconds(SEAL_INTERVAL_MS.cast_signed());
    UsageSample {
        incarnation_id: incarnation,
        sequence,
        taken_at: first + step * i32::try_from(sequence).unwrap_or(i32::MAX),
        counters: UsageCounters {
            requests: 40 * sequence,
            errors: sequence / 100,
            transfer_out_bytes: 9000 * sequence,
            vector_operations: 0,
            connections_opened: 1,
        },
        gauges: UsageGauges {
            storage_bytes: 40_000_000 + sequence,
            connections: 1,
        },
        last: false,
    }
}

fn throughput(nodes: &[Batches], start: Instant) -> f64 {
    let batches = nodes.iter().flat_map(|node| node.samples.iter());
    let samples: usize = batches.map(Vec::len).sum();
    #[expect(
        clippy::cast_precision_loss,
        reason = "samples of one run are far below 2^52"
    )]
    let samples = samples as f64;
    samples / start.elapsed().as_secs_f64()
}
