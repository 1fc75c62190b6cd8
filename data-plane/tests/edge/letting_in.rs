//! From which networks clients come in, and how the control plane's own sessions do.

use super::routing::{asleep, ended};
use super::sessions::config;
use super::tls_client::{Tls, encrypted, plain, told};
use super::world::{WAYS, Wishes, World};
use lumadb_contract::network::AllowedNetworks;
use lumadb_data_plane::edge::{EdgeLimits, SqlEntrance};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio_postgres::NoTls;

/// Tries again until it is so, or for seconds.
async fn until<T, F: Future<Output = T>>(mut act: impl FnMut() -> F, is: impl Fn(&T) -> bool) -> T {
    for _ in 0..300 {
        let outcome = act().await;
        if is(&outcome) {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    act().await
}

#[tokio::test]
async fn clients_come_from_the_allowed_networks_alone() {
    let elsewhere = AllowedNetworks::of_texts(&["192.0.2.0/24".into()]).expect("networks");
    let here = ["192.0.2.0/24".into(), "127.0.0.0/8".into()];
    let here = AllowedNetworks::of_texts(&here).expect("networks");
    for (hand_over, far) in WAYS {
        let world = World::new(Wishes {
            hand_over,
            far,
            ..Wishes::default()
        })
        .await;
        let client = plain(world.edge, &config()).await.expect("in");
        let ours = config();
        let serve = |networks: &AllowedNetworks| {
            let mut serving = (*world.state.serving()).clone();
            serving.allowed_networks = networks.clone();
            world.state.serve(serving);
        };
        let route = |networks: &AllowedNetworks| {
            world
                .control
                .change(|route| route.allowed_networks = networks.clone());
        };
        serve(&elsewhere);
        route(&elsewhere);
        assert!(ended(&client).await);
        for address in [world.edge, world.node] {
            let error = until(|| plain(address, &ours), Result::is_err).await;
            let (code, text) = told(&error.expect_err("refused"));
            assert_eq!(code, "28000");
            assert!(
                text.starts_with("127.0.0.1 is not in the allowed networks"),
                "{text}"
            );
        }
        // The control plane's own sessions come from nowhere.
        let mut own = tokio_postgres::Config::new();
        own.user("whoever").dbname("main");
        own.host_path(world.folder.path());
        own.options(format!("-c lumadb.token={}", world.sql_token(|_| ())));
        let (_client, _connection) = own.connect(NoTls).await.expect("in");
        // What the edge knows counts before the node hears of it.
        route(&here);
        let client = until(|| plain(world.edge, &ours), Result::is_ok).await;
        let client = client.expect("in");
        client.batch_execute("select 1").await.expect("answered");
        serve(&here);
        client.batch_execute("select 1").await.expect("answered");
        let client = plain(world.edge, &config()).await.expect("in");
        client.batch_execute("select 1").await.expect("answered");
    }
}

#[tokio::test]
async fn the_sql_socket_takes_tokens_and_nothing_else() {
    let world = World::new(asleep(false)).await;
    let connect = |token: Option<String>| {
        let mut config = tokio_postgres::Config::new();
        config.user("whoever").dbname("main");
        config.host_path(world.folder.path());
        if let Some(token) = token {
            config.options(format!("-c lumadb.token={token} -c search_path=a"));
        }
        async move { config.connect(NoTls).await }
    };
    let (client, connection) = connect(Some(world.sql_token(|_| ()))).await.expect("in");
    tokio::spawn(connection);
    let row = client.query_one("select current_user::text, current_setting('search_path'), current_setting('lumadb.token', true)", &[]).await;
    let row = row.expect("answered");
    assert_eq!(
        (row.get(0), row.get(1), row.get(2)),
        ("app", "a", None::<&str>)
    );
    assert_eq!(world.control.wakes.load(Relaxed), 1);
    let expired = world.sql_token(|claims| {
        claims.iat -= 100;
        claims.exp -= 100;
    });
    for refused in [None, Some(expired), Some("a.b.c".to_owned())] {
        let error = connect(refused).await.map(|_| ()).expect_err("refused");
        assert_eq!(told(&error).0, "28000");
    }
    // On the edge's port a token opens nothing.
    let mut config = config();
    config.password("wrong");
    config.options(format!("-c lumadb.token={}", world.sql_token(|_| ())));
    let error = plain(world.edge, &config).await.expect_err("refused");
    assert_eq!(told(&error).0, "28P01");
}

#[tokio::test]
async fn an_edge_far_from_the_control_plane_takes_its_tokens_over_tls_alone() {
    let limits = EdgeLimits {
        login_failures_per_minute: 3,
        ..EdgeLimits::default()
    };
    let world = World::new(Wishes {
        entrance: Some(SqlEntrance::WithClients),
        limits,
        ..asleep(false)
    })
    .await;
    let with = |token: &str| {
        let mut config = tokio_postgres::Config::new();
        config.user("whoever").dbname("main");
        config.options(format!("-c lumadb.token={token} -c search_path=a"));
        config
    };
    let tls = Tls::new(&world.certificate_pem, "localhost");
    let good = with(&world.sql_token(|_| ()));
    // In the clear the token is not looked at: nobody knows which database is meant.
    let error = plain(world.edge, &good).await.expect_err("refused");
    assert_eq!(told(&error).0, "28000");
    assert_eq!(world.control.wakes.load(Relaxed), 0);
    let client = encrypted(world.edge, &good, &tls).await.expect("in");
    let asked = "select current_user::text, current_setting('search_path'), \
                 current_setting('lumadb.token', true)";
    let row = client.query_one(asked, &[]).await.expect("answered");
    assert_eq!(
        (row.get(0), row.get(1), row.get(2)),
        ("app", "a", None::<&str>)
    );
    world
        .until(|text| text.contains("outcome=\"sql_session\"} 1\n"))
        .await;
    // Clients come in by their password, as ever.
    let by_password = encrypted(world.edge, &config(), &tls).await;
    by_password.expect("in");
    let other = world.sql_token(|claims| claims.aud = "lumadb-edge-control".into());
    for refused in [other.as_str(), "a.b.c", "x"] {
        let error = encrypted(world.edge, &with(refused), &tls).await;
        assert_eq!(told(&error.expect_err("refused")).0, "28000");
    }
    // Guesses count as failed log-ins.
    let error = encrypted(world.edge, &good, &tls).await;
    let (_, text) = told(&error.expect_err("too many"));
    assert!(text.contains("too many failed log-ins"), "{text}");
}
