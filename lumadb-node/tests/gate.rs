//! `durability = s3` at a node: nothing is heard of a commit before the archive has it, whatever the
//! session, its role or whoever cancels it does; and nobody waits for what is not on its way.

use crate::archive::{Store, archive_told, caught_up};
use crate::bucket::{run, text};
use crate::world::{PASSWORD, SessionEnd, World, role};
use futures::StreamExt;
use http::Method;
use lumadb_contract::archive::{BackupKind, BackupRequest, BackupState, Durability, Lsn};
use lumadb_contract::id::BackupId;
use lumadb_contract::instance::InstanceSpec;
use lumadb_s3_server::faults::{Fault, Rule};
use nix::sys::signal::{Signal, kill};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, SimpleQueryMessage};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(30);

/// PUTs that an idle database may need to answer one query.
const PUTS_MAX: usize = 2;

fn backups(count: u128) -> Vec<BackupRequest> {
    let numbers = 1..=count;
    let request = |number| BackupRequest {
        backup_id: BackupId::from_uuid(Uuid::from_u128(number)),
        kind: BackupKind::Full,
    };
    numbers.map(request).collect()
}

/// With backups, since nothing is acknowledged that nothing can be restored from.
fn gated(store: &Store, generation: u64) -> InstanceSpec {
    let mut spec = store.spec(generation);
    spec.roles.push(role("careless", false));
    let archive = spec.archive.as_mut().expect("is archived");
    archive.durability = Durability::S3;
    archive.backups = backups(1);
    spec
}

async fn begin() -> (Store, World, InstanceSpec) {
    let store = Store::begin().await;
    let spec = gated(&store, 1);
    let world = World::running(&spec).await;
    let client = world.client_soon().await;
    run(&client, "create table t (n int)").await;
    (store, world, spec)
}

/// From here on no WAL gets into the archive.
fn store_goes(store: &Store) {
    let refused = Fault::Refuse(503, "SlowDown");
    let puts = Rule::on(Method::PUT, "/wal/", usize::MAX, refused);
    store.proxy.play([puts]);
}

/// Runs a statement beside; answers where the WAL was inside of it, once that was heard.
fn insert(client: Client, n: i32) -> JoinHandle<Result<Lsn, Error>> {
    tokio::spawn(async move {
        let sql = format!("insert into t values ({n}) returning pg_current_wal_insert_lsn()");
        let rows = client.simple_query(&sql).await?;
        let row = rows.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(row.expect("a row").parse().expect("a position"))
    })
}

/// Waits until a row is there for whoever does not go through the node.
async fn committed(world: &World, n: i32) {
    let direct = world.direct("lumadb_admin", "main").await;
    let sql = format!("select count(*) from t where n = {n}");
    let there = async {
        while text(&direct, &sql).await != "1" {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, there).await.expect("commits");
}

async fn heard<T>(task: JoinHandle<T>) -> T {
    timeout(SOON, task).await.expect("in time").expect("ends")
}

async fn set_up(world: &World, settings: &str) -> Client {
    let client = world.client_soon().await;
    run(&client, settings).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_heard_of_when_the_archive_has_it_whatever_the_session_sets() {
    let (store, world, _spec) = begin().await;
    let admin = world.direct("lumadb_admin", "main").await;
    let settings = [
        "select 1",
        "set synchronous_commit = off",
        "set synchronous_commit = local",
        "set synchronous_commit = remote_apply",
    ];
    for round in 0..2 {
        let mut clients = Vec::new();
        for settings in settings {
            clients.push(set_up(&world, settings).await);
        }
        run(&admin, "alter role careless set synchronous_commit = off").await;
        run(&admin, "grant all on t to careless").await;
        clients.push(as_careless(&world).await);
        store_goes(&store);
        let mut tasks = Vec::new();
        for (client, n) in clients.into_iter().zip(round * 10..) {
            tasks.push(insert(client, n));
            committed(&world, n).await;
        }
        if round == 1 {
            // Whoever waits in the engine for another server could be talked out of it.
            run(&admin, "select pg_cancel_backend(pid) from pg_stat_activity where usename <> 'lumadb_admin'").await;
        }
        let waits = tasks.iter().filter(|task| !task.is_finished()).count();
        assert_eq!(waits, settings.len() + 1);
        store.proxy.calm();
        for task in tasks {
            let before = heard(task).await.expect("is committed");
            let (_, archived) = store.reader().await.latest().expect("some");
            assert!(archived > before, "{archived} {before}");
        }
    }
}

async fn as_careless(world: &World) -> Client {
    let mut config = tokio_postgres::Config::new();
    config
        .user("careless")
        .password(PASSWORD)
        .dbname("main")
        .host(world.port.ip().to_string())
        .port(world.port.port());
    let (client, connection) = config.connect(NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_while_it_waits_hears_of_its_commit_first() {
    let (store, world, _spec) = begin().await;
    let client = world.client_soon().await;
    store_goes(&store);
    let task = insert(client, 1);
    committed(&world, 1).await;
    let admin = world.direct("lumadb_admin", "main").await;
    let end = "select pg_terminate_backend(pid, 10000) from pg_stat_activity \
               where usename = 'owner'";
    run(&admin, end).await;
    assert!(!task.is_finished());
    store.proxy.calm();
    let before = heard(task).await.expect("is committed");
    let (_, archived) = store.reader().await.latest().expect("some");
    assert!(archived > before);
}

/// A session whose notifications are counted.
async fn listener(world: &World) -> (Client, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let mut config = tokio_postgres::Config::new();
    config
        .user("owner")
        .password(PASSWORD)
        .dbname("main")
        .host(world.port.ip().to_string())
        .port(world.port.port());
    let (client, mut connection) = config.connect(NoTls).await.expect("connects");
    let (said, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages =
            futures::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = said.send(notification.payload().to_owned());
            }
        }
    });
    (client, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_read_and_are_notified_of_waits_too_and_an_open_transaction_reads_on() {
    let (store, world, _spec) = begin().await;
    let (listening, mut notified) = listener(&world).await;
    run(&listening, "listen news").await;
    let reading = world.client_soon().await;
    let within = world.client_soon().await;
    let writing = world.client_soon().await;
    store_goes(&store);
    run(&within, "begin; select 1").await;
    let written = tokio::spawn(async move {
        let sql = "begin; insert into t values (7); notify news, 'seven'; commit";
        writing.batch_execute(sql).await
    });
    committed(&world, 7).await;
    let read = tokio::spawn(async move { text(&reading, "select sum(n) from t").await });
    assert_eq!(text(&within, "select sum(n) from t").await, "7");
    let ended = tokio::spawn(async move { within.batch_execute("commit").await });
    // The engine has said all of it by now.
    let admin = world.direct("lumadb_admin", "main").await;
    let busy = "select count(*) from pg_stat_activity \
                where usename = 'owner' and state <> 'idle'";
    while text(&admin, busy).await != "0" {
        sleep(Duration::from_millis(5)).await;
    }
    assert!(!written.is_finished() && !read.is_finished() && !ended.is_finished());
    assert!(notified.try_recv().is_err());
    store.proxy.calm();
    heard(written).await.expect("is committed");
    heard(ended).await.expect("is committed");
    assert_eq!(heard(read).await, "7");
    let news = timeout(SOON, notified.recv()).await.expect("in time");
    assert_eq!(news.as_deref(), Some("seven"));
}

/// Names of the chunks that are there. Runs take the place of older ones at any time.
async fn chunks(store: &Store) -> BTreeSet<String> {
    let objects = store.client().await;
    let listed = objects.list(&store.layout().chunks(1), None).await;
    let listed = listed.expect("answers").into_iter();
    listed.map(|object| object.name).collect()
}

/// An idle database answers within two PUTs after `what` happened to it.
async fn answers(world: &World, store: &Store, client: &Client, what: &str) {
    let before = chunks(store).await;
    let answer = timeout(SOON, client.simple_query("select 1")).await;
    answer.expect(what).expect(what);
    let puts = chunks(store).await.difference(&before).count();
    assert!(puts <= PUTS_MAX, "{what}: {puts} PUTs");
    caught_up(world).await;
}

/// Has the last record of the WAL end with its page, not flushed.
async fn end_a_page(admin: &Client) {
    const PAGE: u64 = 8192;
    const SHORT_HEADER: u64 = 24;
    let position = "select pg_current_wal_insert_lsn() - '0/0'";
    let mut ends = false;
    for _ in 0..100 {
        let at: u64 = text(admin, position).await.parse().expect("a number");
        let left = PAGE - at % PAGE;
        // Headers of the record and of its data, and the prefix with its zero.
        let rest = left.checked_sub(24 + 5 + 24 + 2).filter(|rest| *rest > 256);
        let length = rest.unwrap_or(1000);
        let message = format!("select pg_logical_emit_message(false, 'p', repeat('x', {length}))");
        run(admin, &message).await;
        let now: u64 = text(admin, position).await.parse().expect("a number");
        ends = now % PAGE == SHORT_HEADER;
        if ends {
            break;
        }
    }
    assert!(ends, "no record ends with its page");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_database_answers_although_the_insert_position_is_beyond_what_is_flushed() {
    let (store, world, mut spec) = begin().await;
    let client = world.client_soon().await;
    let admin = world.direct("lumadb_admin", "main").await;
    run(&admin, "set synchronous_commit = off").await;
    caught_up(&world).await;
    answers(&world, &store, &client, "nothing").await;
    end_a_page(&admin).await;
    answers(&world, &store, &client, "a page's end").await;
    run(&admin, "select pg_switch_wal()").await;
    caught_up(&world).await;
    answers(&world, &store, &client, "a switch of files").await;
    run(&admin, "begin; insert into t values (1)").await;
    answers(&world, &store, &client, "an open transaction").await;
    run(&admin, "insert into t values (2); rollback").await;
    answers(&world, &store, &client, "a rollback").await;

    spec.generation += 1;
    spec.archive.as_mut().expect("there").backups = backups(2);
    world.parent().say(&spec);
    archive_told(&world, "a second backup", |told| {
        let complete =
            |it: &&lumadb_contract::archive::BackupStatus| it.state == BackupState::Complete;
        told.backups.iter().filter(complete).count() == 2
    })
    .await;
    answers(&world, &store, &client, "a backup").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_nobody_is_let_in_before_the_archive_has_what_was_recovered() {
    let (store, world, _spec) = begin().await;
    let (client, end): (Client, SessionEnd) = world.session().await.expect("connects");
    run(&client, "set synchronous_commit = off").await;
    store_goes(&store);
    let task = insert(client, 1);
    committed(&world, 1).await;
    let engine = world.engine_pid().expect("runs");
    kill(engine, Signal::SIGKILL).expect("kills");
    // What was said by an engine that is gone is never heard.
    assert!(heard(task).await.is_err());
    let _ = timeout(SOON, end).await.expect("in time");
    let again = async {
        while world.engine_pid().is_none_or(|pid| pid == engine)
            || world.try_direct("lumadb_admin", "main").await.is_err()
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, again).await.expect("starts again");
    let connecting = world.client_soon();
    tokio::pin!(connecting);
    let direct = world.direct("lumadb_admin", "main").await;
    // The engine answers others while a client waits.
    tokio::select! {
        _ = &mut connecting => panic!("is let in"),
        () = async { for _ in 0..20 { text(&direct, "select pg_sleep(0.01)").await; } } => {}
    }
    store.proxy.calm();
    let client = timeout(SOON, connecting).await.expect("is let in");
    text(&client, "select count(*) from t").await;
    let end: Lsn = text(&client, "select pg_current_wal_flush_lsn()")
        .await
        .parse()
        .expect("a position");
    let (_, archived) = store.reader().await.latest().expect("some");
    assert!(archived >= end);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_begin_anew_where_commits_begin_to_wait_and_none_waits_where_they_end_to() {
    let store = Store::begin().await;
    let mut local = gated(&store, 1);
    let lag = Durability::Lag { lag_ms: 1000 };
    local.archive.as_mut().expect("there").durability = lag;
    let world = World::running(&local).await;
    let (before, ends) = world.session().await.expect("connects");
    run(&before, "create table t (n int)").await;
    let spec = gated(&store, 2);
    world.parent().say(&spec);
    let ended = timeout(SOON, ends).await.expect("in time").expect("ends");
    let why = ended.expect_err("is told why");
    assert_eq!(why.code(), Some(&SqlState::ADMIN_SHUTDOWN), "{why}");
    world.in_force(&spec).await;
    let client = world.client_soon().await;
    run(&client, "select 1").await;
    store_goes(&store);
    let task = insert(client, 1);
    committed(&world, 1).await;
    assert!(!task.is_finished());
    local.generation = 3;
    world.parent().say(&local);
    heard(task).await.expect("need not wait any more");
    world.in_force(&local).await;
}
