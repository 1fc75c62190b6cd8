//! Who is let in, to where, and when that ends.

use super::node::{app, verifier};
use super::sessions::config;
use super::tls_client::{Tls, encrypted, plain, told};
use super::world::{DATABASE, PASSWORD, WAYS, Wishes, World};
use futures::future;
use lumadb_contract::route::RouteState;
use lumadb_data_plane::agent::Sessions;
use lumadb_data_plane::edge::{EdgeLimits, Plaintext};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio_postgres::Client;

pub(super) fn asleep(hand_over: bool) -> Wishes {
    Wishes {
        hand_over,
        state: Some(RouteState::Asleep),
        ..Wishes::default()
    }
}

/// Waits until the session is gone and says what the next command was told.
pub(super) async fn ended(client: &Client) -> bool {
    for _ in 0..300 {
        if client.is_closed() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn nothing_is_woken_before_the_password_is_right_and_then_once_for_all() {
    for (hand_over, far) in WAYS {
        let world = World::new(Wishes {
            far,
            ..asleep(hand_over)
        })
        .await;
        let mut wrong = config();
        wrong.password("wrong");
        let error = plain(world.edge, &wrong).await.expect_err("refused");
        assert_eq!(told(&error).0, "28P01");
        assert_eq!(world.control.wakes.load(Relaxed), 0);
        let right = config();
        let arrivals = (0..20).map(|_| plain(world.edge, &right));
        let clients = future::join_all(arrivals).await;
        assert!(clients.iter().all(Result::is_ok));
        assert_eq!(world.control.wakes.load(Relaxed), 1);
    }
}

#[tokio::test]
async fn a_database_that_does_not_wake_is_said_to_be_not_ready() {
    let mut wishes = asleep(false);
    wishes.limits.wake_timeout = Duration::from_millis(600);
    let world = World::new(wishes).await;
    *world.control.on_wake.lock().expect("free") = Box::new(|| RouteState::Pending);
    let error = plain(world.edge, &config()).await.expect_err("refused");
    let (code, text) = told(&error);
    assert_eq!(code, "57P03");
    assert!(text.contains("is not ready to take connections"), "{text}");
}

#[tokio::test]
async fn a_node_that_restarts_is_waited_for() {
    let world = World::new(Wishes::default()).await;
    let mut serving = (*world.state.serving()).clone();
    serving.sessions = Sessions::NotReady;
    world.state.serve(serving.clone());
    let state = world.state.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        serving.sessions = Sessions::Accepted;
        state.serve(serving);
    });
    let answer = world.control.route().state;
    *world.control.on_wake.lock().expect("free") = Box::new(move || answer.clone());
    plain(world.edge, &config())
        .await
        .expect("in, a little later");
}

#[tokio::test]
async fn a_client_waits_at_a_node_that_is_starting() {
    let world = World::new(asleep(false)).await;
    let RouteState::Awake { node } = (world.control.on_wake.lock().expect("free"))() else {
        panic!("the node has an address");
    };
    *world.control.on_wake.lock().expect("free") =
        Box::new(move || RouteState::Starting { node: node.clone() });
    let mut serving = (*world.state.serving()).clone();
    serving.sessions = Sessions::Awaited;
    world.state.serve(serving.clone());
    let state = world.state.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        serving.sessions = Sessions::Accepted;
        state.serve(serving);
    });
    plain(world.edge, &config())
        .await
        .expect("in, once the engine is ready");
    assert_eq!(world.control.wakes.load(Relaxed), 1);
}

#[tokio::test]
async fn connected_and_new_clients_are_served_while_the_control_plane_is_away() {
    let mut world = World::new(Wishes::default()).await;
    let before = plain(world.edge, &config()).await.expect("in");
    world.stop_control();
    world
        .until(|text| text.contains("control_plane_connected 0\n"))
        .await;
    before.batch_execute("select 1").await.expect("goes on");
    plain(world.edge, &config())
        .await
        .expect("in")
        .batch_execute("select 1")
        .await
        .expect("answered");
    world.restart_edge().await;
    assert!(world.scrape("/health/ready").await.contains("200 OK"));
    plain(world.edge, &config())
        .await
        .expect("in")
        .batch_execute("select 1")
        .await
        .expect("answered");
    let mut other = config();
    other.user("app.db_01jd8k2m9n0000000000000009");
    let error = plain(world.edge, &other).await.expect_err("refused");
    let (code, text) = told(&error);
    assert_eq!(code, "57P03");
    assert!(text.contains("cannot be looked up now"), "{text}");
}

#[tokio::test]
async fn a_changed_password_cuts_the_sessions_of_the_old_one() {
    for (hand_over, far) in WAYS {
        let world = World::new(Wishes {
            hand_over,
            far,
            ..Wishes::default()
        })
        .await;
        let client = plain(world.edge, &config()).await.expect("in");
        let sleeping = plain(world.edge, &config()).await.expect("in");
        let sleeping =
            tokio::spawn(async move { sleeping.batch_execute("select pg_sleep(20)").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let new = verifier("another");
        let mut serving = (*world.state.serving()).clone();
        serving.roles.insert(app(), new.clone());
        world.state.serve(serving);
        world.control.change(|route| route.roles[0].verifier = new);
        assert!(ended(&client).await);
        let error = sleeping.await.expect("ran").expect_err("cut");
        assert_eq!(told(&error).0, "57P01");
        let error = plain(world.edge, &config()).await.expect_err("refused");
        assert_eq!(told(&error).0, "28P01");
        let mut changed = config();
        changed.password("another");
        let client = plain(world.edge, &changed).await.expect("in");
        let running = "select count(*) from pg_stat_activity where query like '%pg_sleep(2%' and pid <> pg_backend_pid() and state = 'active'";
        for attempt in 0.. {
            let row = client.query_one(running, &[]).await.expect("answered");
            if row.get::<_, i64>(0) == 0 {
                break;
            }
            assert!(attempt < 200, "what the cut session ran still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn sessions_end_with_their_role_their_database_and_its_suspension() {
    for far in [false, true] {
        let wishes = Wishes {
            far,
            ..Wishes::default()
        };
        suspend(World::new(wishes).await).await;
    }
}

async fn suspend(world: World) {
    let client = plain(world.edge, &config()).await.expect("in");
    world
        .control
        .change(|route| route.state = RouteState::Suspended);
    assert!(ended(&client).await);
    let error = plain(world.edge, &config()).await.expect_err("refused");
    let (_, text) = told(&error);
    assert!(
        text.ends_with("was suspended") || text.contains("is suspended"),
        "{text}"
    );
    assert_eq!(world.control.wakes.load(Relaxed), 0);
}

#[tokio::test]
async fn an_edge_that_leaves_says_so_before_it_takes_nobody() {
    let limits = EdgeLimits {
        leave_delay: Duration::from_hours(1),
        ..EdgeLimits::default()
    };
    let world = World::new(Wishes {
        limits,
        ..Wishes::default()
    })
    .await;
    assert!(world.scrape("/health/ready").await.contains("200 OK"));
    world.edge_shutdown.cancel();
    for attempt in 0.. {
        if world.scrape("/health/ready").await.contains("503") {
            break;
        }
        assert!(attempt < 500, "it never says so");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let client = plain(world.edge, &config()).await.expect("in");
    client.batch_execute("select 1").await.expect("answered");
    assert!(world.scrape("/health/live").await.contains("200 OK"));
}

#[tokio::test]
async fn too_many_failed_log_ins_stop_an_address_on_both_ways() {
    for (hand_over, far) in WAYS {
        let world = World::new(Wishes {
            hand_over,
            far,
            ..Wishes::default()
        })
        .await;
        let mut wrong = config();
        wrong.password("wrong");
        for _ in 0..20 {
            let error = plain(world.edge, &wrong).await.expect_err("refused");
            assert_eq!(told(&error).0, "28P01");
        }
        let error = plain(world.edge, &config()).await.expect_err("refused");
        let (code, text) = told(&error);
        assert_eq!(code, "28000");
        assert!(
            text.starts_with("too many failed log-ins from this address"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn draining_waits_for_transactions_and_ends_idle_sessions_at_once() {
    for far in [false, true] {
        let wishes = Wishes {
            far,
            ..Wishes::default()
        };
        drain(World::new(wishes).await).await;
    }
}

async fn drain(mut world: World) {
    let idle = plain(world.edge, &config()).await.expect("in");
    let busy = plain(world.edge, &config()).await.expect("in");
    busy.batch_execute("begin; select 1").await.expect("done");
    world.edge_shutdown.cancel();
    assert!(ended(&idle).await);
    busy.batch_execute("select 2")
        .await
        .expect("its transaction goes on");
    busy.batch_execute("commit").await.expect("to its end");
    assert!(ended(&busy).await);
    (&mut world.edge_task).await.expect("the edge ends");
}

#[tokio::test]
async fn draining_ends_what_does_not_end_in_time() {
    let mut wishes = Wishes::default();
    wishes.limits.drain_timeout = Duration::from_millis(200);
    let mut world = World::new(wishes).await;
    let busy = plain(world.edge, &config()).await.expect("in");
    busy.batch_execute("begin").await.expect("done");
    world.edge_shutdown.cancel();
    (&mut world.edge_task).await.expect("the edge ends");
    assert!(ended(&busy).await);
}

#[tokio::test]
async fn a_database_takes_as_many_connections_as_it_may() {
    for (hand_over, far) in WAYS {
        let world = World::new(Wishes {
            hand_over,
            far,
            ..Wishes::default()
        })
        .await;
        let mut serving = (*world.state.serving()).clone();
        serving.connections_max = 1;
        world.state.serve(serving);
        let first = plain(world.edge, &config()).await.expect("in");
        let error = plain(world.edge, &config()).await.expect_err("refused");
        assert_eq!(told(&error).0, "53300");
        drop(first);
        let mut again = plain(world.edge, &config()).await;
        for _ in 0..100 {
            if again.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            again = plain(world.edge, &config()).await;
        }
        assert!(again.is_ok());
    }
}

#[tokio::test]
async fn an_edge_takes_as_many_sessions_as_it_may() {
    let limits = EdgeLimits {
        sessions_max: 1,
        ..EdgeLimits::default()
    };
    let world = World::new(Wishes {
        limits,
        ..Wishes::default()
    })
    .await;
    let _first = plain(world.edge, &config()).await.expect("in");
    let error = plain(world.edge, &config()).await.expect_err("refused");
    assert_eq!(told(&error).0, "53300");
}

#[tokio::test]
async fn clients_without_tls_are_told_to_use_it() {
    for hand_over in [false, true] {
        let plaintext = Plaintext::Refused;
        let world = World::new(Wishes {
            hand_over,
            plaintext,
            ..Wishes::default()
        })
        .await;
        let error = plain(world.edge, &config()).await.expect_err("refused");
        let (code, text) = told(&error);
        assert_eq!(
            (code.as_str(), text.as_str()),
            ("28000", "connections must use TLS: set sslmode=require")
        );
        let tls = Tls::new(&world.certificate_pem, "localhost");
        encrypted(world.edge, &config(), &tls).await.expect("in");
    }
}

#[tokio::test]
async fn a_node_without_certificate_leaves_the_client_to_the_edge() {
    let wishes = Wishes {
        hand_over: true,
        node_tls: false,
        ..Wishes::default()
    };
    let world = World::new(wishes).await;
    let host = format!("{}.localhost", DATABASE.replace('_', "-"));
    let tls = Tls::new(&world.certificate_pem, &host);
    let client = encrypted(world.edge, &config(), &tls).await.expect("in");
    client.batch_execute("select 1").await.expect("answered");
    world
        .until(|text| text.contains("outcome=\"session\"} 1\n"))
        .await;
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_asked_for_once() {
    let world = World::new(Wishes::default()).await;
    let mut other = config();
    other.user("app.db_01jd8k2m9n0000000000000009");
    for _ in 0..3 {
        let error = plain(world.edge, &other).await.expect_err("refused");
        let (code, text) = told(&error);
        assert_eq!(code, "3D000");
        assert_eq!(
            text,
            "database db_01jd8k2m9n0000000000000009 does not exist in region test-1"
        );
    }
    assert_eq!(world.control.resolves.load(Relaxed), 1);
    let mut nobody = config();
    nobody.user("app").password(PASSWORD);
    let error = plain(world.edge, &nobody).await.expect_err("refused");
    assert!(
        told(&error)
            .1
            .starts_with("the connection names no database")
    );
}
