//! The object store is away while clients write: commits go on, or wait where they promise to be archived;
//! nothing is dropped, and the archive catches up.

use crate::oracle::round::{Durability, begin};
use crate::recovering::{lose, recovered};
use crate::restoring::is_archived;
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Paused;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_postgres::{Config, NoTls};

/// Clients of each database.
const CLIENTS: usize = 4;

/// Between two rows of a client.
const PAUSE: Duration = Duration::from_millis(20);

/// Rows acknowledged before the outage, and again after it, at least.
const ROWS_MIN: usize = 50;

/// A crowded machine needs its time.
const LIMIT: Duration = Duration::from_mins(5);

/// Rows that were acknowledged.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<BTreeSet<usize>>>);

impl Acknowledged {
    fn add(&self, row: usize) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.insert(row);
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn grows_by(&self, rows: usize) -> Outcome<()> {
        let before = self.count();
        until("rows to be acknowledged", LIMIT, || async {
            Ok((self.count() >= before + rows).then_some(()))
        })
        .await
    }

    /// Those that a database does not hold.
    async fn missing(&self, database: &Database) -> Outcome<Vec<usize>> {
        let there = tools::psql(&database.uri, "select id from written").await?;
        let there: BTreeSet<usize> = there.lines().filter_map(|row| row.parse().ok()).collect();
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.difference(&there).copied().collect())
    }
}

/// Clients that write, until this is dropped.
struct Load {
    acknowledged: Acknowledged,
    _clients: JoinSet<()>,
}

impl Load {
    async fn begin(database: &Database) -> Outcome<Self> {
        tools::psql(
            &database.uri,
            "create table written (id bigint primary key)",
        )
        .await?;
        let acknowledged = Acknowledged::default();
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (acknowledged, next) = (acknowledged.clone(), Arc::clone(&next));
            let mut config = Config::new();
            config
                .host(&database.host)
                .port(database.port)
                .user(&database.user)
                .password(&database.password)
                .dbname(&database.logical_database);
            clients.spawn(async move {
                let Ok((client, connection)) = config.connect(NoTls).await else {
                    return;
                };
                tokio::spawn(connection);
                loop {
                    let row = next.fetch_add(1, Ordering::Relaxed);
                    let written = format!("insert into written values ({row})");
                    // Whoever is cut off writes no more: that shows in the count.
                    if client.batch_execute(&written).await.is_err() {
                        return;
                    }
                    acknowledged.add(row);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Ok(Self {
            acknowledged,
            _clients: clients,
        })
    }
}

async fn outage(length: Duration) -> Outcome<()> {
    let cloud = Cloud::start_with(&[("LUMADB_EDGE_PLAINTEXT", "loopback")]).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    cloud
        .control_sql("update organizations set plan_id = 'pro-scale'")
        .await?;
    let local = begin(&ada, Durability::Local, "local").await?;
    let archived = begin(&ada, Durability::S3, "archived").await?;
    let goes_on = Load::begin(&local).await?;
    let waits = Load::begin(&archived).await?;
    for load in [&goes_on, &waits] {
        load.acknowledged.grows_by(ROWS_MIN).await?;
    }

    let paused = Paused::service(&cloud, "s3")?;
    let before = waits.acknowledged.count();
    tokio::time::sleep(length).await;
    // To the end of it.
    goes_on.acknowledged.grows_by(ROWS_MIN).await?;
    let meanwhile = waits.acknowledged.count() - before;
    drop(paused);
    // What was on its way to the client already.
    assert!(meanwhile <= CLIENTS, "{meanwhile} acknowledged");
    for load in [&goes_on, &waits] {
        load.acknowledged.grows_by(ROWS_MIN).await?;
    }
    eprintln!(
        "{} s without the object store: {} and {} rows acknowledged, {meanwhile} of the latter meanwhile",
        length.as_secs(),
        goes_on.acknowledged.count(),
        waits.acknowledged.count()
    );

    for (database, load) in [(&local, goes_on), (&archived, waits)] {
        let rows = load.acknowledged.clone();
        drop(load);
        is_archived(&ada, database).await?;
        lose(&cloud, database).await?;
        recovered(&ada, database, 1).await?;
        let missing = rows.missing(database).await?;
        assert!(missing.is_empty(), "of {}: {missing:?}", rows.count());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_go_on_or_wait_while_the_object_store_is_away_and_nothing_is_dropped() -> Outcome<()>
{
    outage(Duration::from_secs(10)).await
}

/// `make chaos-outage`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as one likes: `make chaos-outage`"]
async fn chaos() -> Outcome<()> {
    let minutes = std::env::var("LUMADB_CHAOS_MINUTES").unwrap_or_default();
    outage(Duration::from_mins(minutes.parse().unwrap_or(10))).await
}
