//! One round: a database, load, its end at a random moment, and what its archive gives back.

use super::load::{Login, load};
use super::log::{Log, Row};
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Process;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

/// A backup is made in seconds; machines of tests are crowded.
const ARCHIVE_LIMIT: Duration = Duration::from_mins(2);

/// Shortest and longest load.
const LOAD_MS: (u64, u64) = (1000, 5000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Local,
    S3,
}

impl Durability {
    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::S3 => "s3",
        }
    }
}

/// What a round found.
#[derive(Debug)]
pub(super) struct Found {
    /// Rows that somebody was told of before the end.
    pub(super) acknowledged: usize,
    /// Of them, those that did not come back.
    pub(super) missing: usize,
    /// How long before the end the first that is missing was told.
    pub(super) lost: Duration,
    load: Duration,
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.acknowledged as u128 * 1000 / self.load.as_millis().max(1);
        write!(
            out,
            "{} rows acknowledged ({per_second} a second), {} missing, the last {} ms",
            self.acknowledged,
            self.missing,
            self.lost.as_millis()
        )
    }
}

pub(super) async fn round(
    cloud: &Cloud,
    ada: &Account,
    durability: Durability,
    number: usize,
) -> Outcome<Found> {
    let source = begin(ada, durability, &format!("round {number}")).await?;
    let role = format!("/v1/databases/{}/roles", source.id);
    let made = ada.api.post(&role, &json!({ "name": "careless" })).await?;
    let made = made.expect(201)?;
    ada.operation_succeeds(&made.text_at("/operation/id")?)
        .await?;
    let owner = Login::new(&source, &source.user, &source.password);
    let user = source.user.replacen("owner", "careless", 1);
    let careless = Login::new(&source, &user, &made.text_at("/password")?);
    let uri = (source.uri.replacen("owner", "careless", 1)).replacen(
        &source.password,
        &made.text_at("/password")?,
        1,
    );
    tools::psql(
        &source.uri,
        "create table t (id bigint primary key); grant all on t to careless",
    )
    .await?;
    tools::psql(&uri, "alter role careless set synchronous_commit = off").await?;

    let log = Log::default();
    let began = Instant::now();
    let clients = load(&owner, &careless, &log);
    tokio::time::sleep(random_pause()).await;
    let end = Instant::now();
    destroy(cloud, &source).await?;
    drop(clients);
    let mut told = log.take();
    told.retain(|_, at| *at <= end);

    let path = format!("/v1/databases/{}/restore", source.id);
    let body = json!({ "name": format!("again {number}"), "latest": true });
    let answer = ada.api.post(&path, &body).await?.expect(201)?;
    ada.operation_succeeds(&answer.text_at("/operation/id")?)
        .await?;
    let id = answer.text_at("/database/id")?;
    let restored = ada.database(&id, &source.password).await?;
    let there = tools::psql(&restored.uri, "select id from t").await?;
    let there: BTreeSet<Row> = there.lines().filter_map(|row| row.parse().ok()).collect();
    let missing = || told.iter().filter(|(row, _)| !there.contains(row));
    let first = missing().map(|(_, at)| *at).min();
    for id in [&source.id, &restored.id] {
        let path = format!("/v1/databases/{id}");
        ada.api.delete(&path).await?.expect(200)?;
    }
    Ok(Found {
        acknowledged: told.len(),
        missing: missing().count(),
        lost: first.map_or(Duration::ZERO, |at| end - at),
        load: end - began,
    })
}

/// A database that can be restored.
pub(crate) async fn begin(ada: &Account, durability: Durability, name: &str) -> Outcome<Database> {
    let body = json!({ "name": name, "durability": durability.name() });
    let source = ada.create_database_as(&body).await?;
    let backups = format!("/v1/databases/{}/backups", source.id);
    ada.api.post(&backups, &json!({})).await?.expect(201)?;
    let window = format!("/v1/databases/{}/restore-window", source.id);
    until("something to restore from", ARCHIVE_LIMIT, || async {
        let window = ada.api.read(&window).await?;
        Ok(window["earliest"].is_string().then_some(()))
    })
    .await?;
    Ok(source)
}

/// Its processes, without warning, and its data.
pub(crate) async fn destroy(cloud: &Cloud, database: &Database) -> Outcome<()> {
    let folder = cloud.instance_dir(&database.id);
    let of_it = |process: &Process| process.instance_dir().as_deref() == Some(folder.as_path());
    cloud.kill(of_it).await?;
    until("the data to be gone", ARCHIVE_LIMIT, || async {
        remove(&folder.join("data"))?;
        // What was started again before it was gone runs without it.
        cloud.kill(of_it).await?;
        Ok((!folder.join("data").exists()).then_some(()))
    })
    .await
}

fn remove(folder: &Path) -> Outcome<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn random_pause() -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let (least, most) = LOAD_MS;
    Duration::from_millis(least + random % (most - least))
}
