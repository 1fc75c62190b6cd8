//! What the node and the helper do when they, the engine or the parent come and go.

use crate::world::{SessionEnd, World, spec};
use lumadb_contract::instance::{InstancePhase, InstanceSpec, RunState};
use nix::sys::signal::{Signal, kill};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn a_new_instance_serves_its_owner_and_says_who_it_is() {
    let world = World::running(&spec(1)).await;
    let client = world.client().await.expect("logs in");
    let row = client.query_one("select current_user::text", &[]).await;
    assert_eq!(row.expect("answers").get::<_, String>(0), "owner");
    let heard = world
        .hears("the storage", |heard| {
            heard
                .status
                .as_ref()
                .is_some_and(|status| status.storage_bytes > 1_000_000 && status.connections == 1)
        })
        .await;
    let status = heard.status.expect("told");
    assert!(status.engine_version.expect("told").starts_with("18."));
    assert!(status.system_identifier.is_some());
    assert_eq!(status.idle_since, None);
}

#[tokio::test]
async fn a_killed_node_leaves_the_engine_running_and_its_samples_to_the_next() {
    let mut world = World::running(&spec(1)).await;
    let engine = world.engine_pid().expect("runs");
    world.parent = None;
    let client = world.client().await.expect("logs in");
    for _ in 0..50 {
        client.batch_execute("select 1").await.expect("answers");
    }
    // Longer than the promise about a kill.
    tokio::time::sleep(Duration::from_millis(400)).await;
    world.node_kill();
    world.parent_start();
    world.parent().say(&spec(1));
    world.node_start();
    world.client_soon().await;
    assert_eq!(world.engine_pid(), Some(engine), "adopted, not restarted");
    let heard = world
        .hears("the samples of before", |heard| {
            heard.samples.iter().any(|s| s.counters.requests >= 50)
        })
        .await;
    let most = heard.samples.iter().map(|s| s.counters.requests).max();
    assert_eq!(most, Some(50), "never more than was asked");
}

#[tokio::test]
async fn a_killed_helper_leaves_the_engine_to_its_successor() {
    let mut world = World::running(&spec(1)).await;
    let engine = world.engine_pid().expect("runs");
    let client = world.client().await.expect("logs in");
    world.helper_kill();
    client.batch_execute("select 1").await.expect("goes on");
    world.helper_start();
    // Carried out by the new helper: a change that takes a restart.
    let mut larger = spec(2);
    larger.connections_max = 40;
    world.parent().say(&larger);
    world.in_force(&larger).await;
    assert_ne!(world.engine_pid(), Some(engine), "restarted");
    let client = world.client_soon().await;
    let row = client.query_one("show max_connections", &[]).await;
    assert_eq!(row.expect("answers").get::<_, String>(0), "64");
}

#[tokio::test]
async fn a_killed_engine_is_started_again_and_the_node_serves_again() {
    let world = World::running(&spec(1)).await;
    let engine = world.engine_pid().expect("runs");
    let client = world.client().await.expect("logs in");
    client
        .batch_execute("create table kept (n int); insert into kept values (7)")
        .await
        .expect("writes");
    kill(engine, Signal::SIGKILL).expect("kills");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        assert!(tokio::time::Instant::now() < deadline, "serves again");
        if let Ok(client) = world.client().await
            && let Ok(row) = client.query_one("select n from kept", &[]).await
        {
            assert_eq!(row.get::<_, i32>(0), 7);
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_ne!(world.engine_pid(), Some(engine));
}

fn asleep(generation: u64) -> InstanceSpec {
    InstanceSpec {
        run: RunState::Asleep,
        ..spec(generation)
    }
}

#[tokio::test]
async fn an_instance_sleeps_when_its_last_client_has_gone_and_not_before() {
    let mut world = World::running(&spec(1)).await;
    let client = world.client().await.expect("logs in");
    world.parent().say(&asleep(2));
    world
        .hears("the wish to sleep", |heard| {
            heard.status.as_ref().is_some_and(|status| {
                status.observed_generation == 2 && status.phase == InstancePhase::Ready
            })
        })
        .await;
    client
        .batch_execute("select 1")
        .await
        .expect("still served");
    drop(client);
    let ended = world.ended().await;
    assert!(ended.iter().all(std::process::ExitStatus::success));
    assert_eq!(world.engine_pid(), None, "ended in order");
    let heard = world
        .hears("the end", |heard| {
            heard.samples.iter().any(|sample| sample.last)
        })
        .await;
    let status = heard.status.expect("told");
    assert_eq!(status.phase, InstancePhase::Stopped);
    assert_eq!(status.observed_generation, 2);
    let last = heard.samples.last().expect("some");
    assert!(last.last && last.counters.requests == 1 && last.gauges.storage_bytes > 1_000_000);

    // A stale wish to sleep on disk does not end a node that was started to wake.
    world.parent = None;
    world.helper_start();
    world.node_start();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let node = world.node.as_mut().expect("started");
    assert!(node.try_wait().expect("asks").is_none());
    world.parent_start();
    world.parent().say(&spec(3));
    world.in_force(&spec(3)).await;
}

#[tokio::test]
async fn a_suspended_instance_ends_its_sessions() {
    let mut world = World::running(&spec(1)).await;
    let client = world.client().await.expect("logs in");
    let stopped = InstanceSpec {
        run: RunState::Stopped,
        ..spec(2)
    };
    world.parent().say(&stopped);
    let ended = world.ended().await;
    assert!(ended.iter().all(std::process::ExitStatus::success));
    assert!(client.batch_execute("select 1").await.is_err());
}

/// The code with which the server ended a session.
async fn code_at_end(end: SessionEnd) -> String {
    let ended = timeout(Duration::from_secs(30), end).await;
    let ended = ended.expect("in time").expect("joins");
    let error = ended.expect_err("the server said why");
    error.code().expect("a code").code().to_owned()
}

#[tokio::test]
async fn a_suspension_waits_for_the_end_of_a_transaction() {
    let mut world = World::running(&spec(1)).await;
    let (_idle, idle_end) = world.session().await.expect("logs in");
    let (busy, busy_end) = world.session().await.expect("logs in");
    let begin = "begin; create table kept (n int)";
    busy.batch_execute(begin).await.expect("begins");
    let stopped = InstanceSpec {
        run: RunState::Stopped,
        ..spec(2)
    };
    world.parent().say(&stopped);
    assert_eq!(code_at_end(idle_end).await, "57P01");
    assert!(world.client().await.is_err(), "nobody gets in any more");
    busy.batch_execute("insert into kept values (7)")
        .await
        .expect("goes on");
    busy.batch_execute("commit").await.expect("commits");
    assert_eq!(code_at_end(busy_end).await, "57P01");
    let ended = world.ended().await;
    assert!(ended.iter().all(std::process::ExitStatus::success));
}

/// The same instance with so many connections, for which the engine has to restart.
fn resized(generation: u64, connections_max: u16) -> InstanceSpec {
    InstanceSpec {
        connections_max,
        ..spec(generation)
    }
}

#[tokio::test]
async fn a_resize_ends_sessions_between_transactions_and_new_ones_wait_for_it() {
    let world = World::running(&spec(1)).await;
    let (_idle, idle_end) = world.session().await.expect("logs in");
    let (busy, busy_end) = world.session().await.expect("logs in");
    let begin = "begin; create table kept (n int)";
    busy.batch_execute(begin).await.expect("begins");
    world.parent().say(&resized(2, 40));
    assert_eq!(code_at_end(idle_end).await, "57P01");

    let mut entering = Box::pin(world.client());
    let early = timeout(Duration::from_millis(300), &mut entering).await;
    assert!(early.is_err(), "it waits");
    busy.batch_execute("insert into kept values (7)")
        .await
        .expect("goes on");
    busy.batch_execute("commit").await.expect("commits");
    assert_eq!(code_at_end(busy_end).await, "57P01");

    let entered = entering.await.expect("not refused");
    let row = entered.query_one("show max_connections", &[]).await;
    assert_eq!(row.expect("answers").get::<_, String>(0), "64");
    let row = entered.query_one("select n from kept", &[]).await;
    assert_eq!(row.expect("kept").get::<_, i32>(0), 7);
    world.in_force(&resized(2, 40)).await;
}

#[tokio::test]
async fn a_resize_does_not_wait_for_ever() {
    let world = World::running(&spec(1)).await;
    let (busy, busy_end) = world.session().await.expect("logs in");
    busy.batch_execute("begin").await.expect("begins");
    world.parent().say(&resized(2, 40));
    world.in_force(&resized(2, 40)).await;
    assert_eq!(code_at_end(busy_end).await, "57P01");
    assert!(busy.is_closed());
}

#[tokio::test]
async fn a_resize_that_is_taken_back_lets_everybody_in_again() {
    let world = World::running(&spec(1)).await;
    let engine = world.engine_pid();
    let (idle, idle_end) = world.session().await.expect("logs in");
    let busy = world.client().await.expect("logs in");
    busy.batch_execute("begin").await.expect("begins");
    world.parent().say(&resized(2, 40));
    assert_eq!(code_at_end(idle_end).await, "57P01");
    drop(idle);
    world.parent().say(&resized(3, 20));
    world.in_force(&resized(3, 20)).await;
    world.client().await.expect("logs in");
    assert_eq!(world.engine_pid(), engine, "no restart");
}

#[tokio::test]
async fn with_no_parent_a_node_serves_from_the_spec_on_disk() {
    let mut world = World::running(&spec(1)).await;
    world.node_kill();
    world.parent = None;
    world.node_start();
    let client = world.client_soon().await;
    client.batch_execute("select 1").await.expect("answers");
}

#[tokio::test]
async fn told_to_end_the_node_leaves_the_engine_and_the_helper_takes_it_along() {
    let mut world = World::running(&spec(1)).await;
    let engine = world.engine_pid().expect("runs");
    let mut node = world.node.take().expect("runs");
    kill(
        nix::unistd::Pid::from_raw(node.id().cast_signed()),
        Signal::SIGTERM,
    )
    .expect("told");
    let ended = tokio::task::spawn_blocking(move || node.wait()).await;
    assert!(ended.expect("joins").expect("ends").success());
    assert_eq!(world.engine_pid(), Some(engine));
    let mut helper = world.helper.take().expect("runs");
    kill(
        nix::unistd::Pid::from_raw(helper.id().cast_signed()),
        Signal::SIGTERM,
    )
    .expect("told");
    let ended = tokio::task::spawn_blocking(move || helper.wait()).await;
    assert!(ended.expect("joins").expect("ends").success());
    assert_eq!(world.engine_pid(), None);
}

#[tokio::test]
async fn health_and_metrics_answer_on_their_socket() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::running(&spec(1)).await;
    let ask = async |path: &str| {
        let socket = world.instance().join("node-run/metrics.sock");
        let mut stream = tokio::net::UnixStream::connect(socket).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    assert!(
        ask("/health/ready")
            .await
            .expect("answers")
            .starts_with("HTTP/1.1 200")
    );
    let metrics = ask("/metrics").await.expect("answers");
    assert!(metrics.contains("\nlumadb_node_ready 1\n"), "{metrics}");
}
