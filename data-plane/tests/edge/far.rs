//! A node on another machine: who is let in, and what a client hears where no way leads there.

use super::far_authority::FarAuthority;
use super::node::cluster_address;
use super::sessions::config;
use super::tls_client::{Tls, encrypted, plain};
use super::world::{DATABASE, REGION, Wishes, World};
use lumadb_contract::edge_link::{ALPN, certificate_name};
use lumadb_contract::handoff::{Cancel, Opening, Verdict};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::TlsIdentity;
use lumadb_contract::route::RouteState;
use lumadb_contract::secret::Secret;
use lumadb_data_plane::protocol::postgres::handover::{read_verdict, send_opening};
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::config::ChannelBinding;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

const OTHER_DATABASE: &str = "db_01jd8k2m9n0000000000000002";

async fn far() -> World {
    World::new(Wishes {
        far: true,
        ..Wishes::default()
    })
    .await
}

fn told(error: &tokio_postgres::Error) -> String {
    let error = error.as_db_error().expect("an answer");
    error.message().to_owned()
}

/// Asks the node at its door for something harmless, with this certificate and this host name.
async fn knock(
    world: &World,
    shown: Option<&TlsIdentity>,
    name: &str,
) -> Result<Verdict, Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    let authority = world.authority.certificate_pem.as_bytes();
    // The other database's name is in no certificate here: whoever calls believes all the same.
    roots.add(CertificateDer::from_pem_slice(authority)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match shown {
        Some(shown) => builder.with_client_auth_cert(
            CertificateDer::pem_slice_iter(shown.certificate_chain_pem.as_bytes())
                .collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_slice(shown.private_key_pem.expose().as_bytes())?,
        )?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    let socket = TcpStream::connect(world.node).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(name.to_owned())?;
    let exchange = async {
        let mut stream = connector.connect(name, socket).await?;
        let opening = Opening::Cancel(Cancel {
            key: Secret::new("AAAAAA=="),
        });
        send_opening(&mut stream, &opening).await?;
        Ok(read_verdict(&mut stream).await?)
    };
    tokio::time::timeout(Duration::from_secs(5), exchange).await?
}

fn label(database: &str) -> String {
    let id: DatabaseId = database.parse().expect("an ID");
    id.host_label()
}

#[tokio::test]
async fn a_node_lets_edges_of_its_region_in_and_nobody_else() {
    let world = far().await;
    let ours = &world.authority;
    let (name, here) = (certificate_name(REGION), label(DATABASE));
    let day = time::Duration::days(1);
    let right = ours.edge(REGION);
    for (what, shown, host) in [
        ("no certificate", None, &here),
        (
            "another authority",
            Some(FarAuthority::new().edge(REGION)),
            &here,
        ),
        (
            "expired",
            Some(ours.issue(&[&name], ClientAuth, -day)),
            &here,
        ),
        ("a node", Some(ours.node(DATABASE)), &here),
        (
            "a server",
            Some(ours.issue(&[&name], ServerAuth, day)),
            &here,
        ),
        (
            "no edge",
            Some(ours.issue(&[&here], ClientAuth, day)),
            &here,
        ),
        (
            "more",
            Some(ours.issue(&[&name, "x"], ClientAuth, day)),
            &here,
        ),
        ("another region", Some(ours.edge("other")), &here),
        (
            "another name",
            Some(right.clone()),
            &format!("{here}.localhost"),
        ),
    ] {
        let refused = knock(&world, shown.as_ref(), host).await;
        assert!(refused.is_err(), "{what}: {refused:?}");
    }
    let verdict = knock(&world, Some(&right), &here).await.expect("in");
    assert_eq!(verdict, Verdict::Accepted);
}

#[tokio::test]
async fn clients_of_the_nodes_own_port_are_not_asked_for_certificates() {
    let world = far().await;
    let host = format!("{}.localhost", label(DATABASE));
    let tls = Tls::new(&world.authority.certificate_pem, &host);
    let mut config = config();
    // The certificate is not the one that is trusted, but one of its.
    config.channel_binding(ChannelBinding::Disable);
    let client = encrypted(world.node, &config, &tls).await.expect("in");
    let row = client.query_one("select 1", &[]).await.expect("answered");
    assert_eq!(row.get::<_, i32>(0), 1);
}

/// What a client is told, and that it is told within seconds.
async fn is_out_of_reach(world: &World, node: SocketAddr) {
    let state = RouteState::Awake {
        node: cluster_address(node),
    };
    *world.control.on_wake.lock().expect("not poisoned") = Box::new({
        let state = state.clone();
        move || state.clone()
    });
    world.control.change(|route| route.state = state);
    for attempt in 0.. {
        let begun = Instant::now();
        let Err(error) = plain(world.edge, &config()).await else {
            // The edge has not heard of the change yet.
            assert!(attempt < 200, "it is led elsewhere");
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let text = told(&error);
        assert!(text.contains("does not reach its node"), "{text}");
        assert!(begun.elapsed() < Duration::from_secs(15));
        return;
    }
}

#[tokio::test]
async fn a_client_is_told_within_seconds_that_an_edge_does_not_reach_its_database() {
    let world = far().await;
    plain(world.edge, &config()).await.expect("in");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    is_out_of_reach(&world, silent.local_addr().expect("an address")).await;

    // The node of another database, at the address that this one had.
    let mut serving = (*world.state.serving()).clone();
    serving.tls = Some(world.authority.node(OTHER_DATABASE));
    world.state.serve(serving.clone());
    is_out_of_reach(&world, world.node).await;

    // A node that knows no edges, and one that takes no TLS either.
    serving.tls = Some(world.authority.node(DATABASE));
    serving.edges = None;
    world.state.serve(serving.clone());
    is_out_of_reach(&world, world.node).await;
    serving.tls = None;
    world.state.serve(serving);
    is_out_of_reach(&world, world.node).await;
}

#[tokio::test]
async fn a_node_that_serves_another_database_by_now_refuses_the_name_of_before() {
    let world = far().await;
    let mut serving = (*world.state.serving()).clone();
    serving.database_id = Some(OTHER_DATABASE.parse().expect("an ID"));
    world.state.serve(serving);
    let right = world.authority.edge(REGION);
    let refused = knock(&world, Some(&right), &label(DATABASE)).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn a_dial_ends_when_the_route_leads_elsewhere() {
    let world = far().await;
    let moved = cluster_address(world.node);
    // Takes connections and says nothing, as the address of a pod that is gone.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let before = cluster_address(silent.local_addr().expect("an address"));
    *world.control.on_wake.lock().expect("not poisoned") = Box::new({
        let before = before.clone();
        move || RouteState::Awake {
            node: before.clone(),
        }
    });
    let config = config();
    let lead = |node| {
        world
            .control
            .change(|route| route.state = RouteState::Awake { node });
    };
    lead(before);
    let is_dialed = Cell::new(false);
    let follow = async {
        let dialed = silent.accept().await.expect("a dial");
        is_dialed.set(true);
        lead(moved);
        dialed
    };
    let coming = async {
        loop {
            let client = plain(world.edge, &config).await.expect("in");
            // Before that the edge has not heard of the first change yet.
            if is_dialed.get() {
                return client;
            }
        }
    };
    let (client, _dialed) = tokio::join!(coming, follow);
    client.batch_execute("select 1").await.expect("answered");
    let wakes = world.control.wakes.load(Ordering::Relaxed);
    assert_eq!(wakes, 0, "the dial was waited for");
}

#[tokio::test]
async fn a_node_that_moved_is_found_again() {
    let world = far().await;
    let moved = world.node;
    // Nobody is at the address of before.
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let before = gone.local_addr().expect("an address");
    drop(gone);
    world.control.change(|route| {
        route.state = RouteState::Awake {
            node: cluster_address(before),
        };
    });
    *world.control.on_wake.lock().expect("not poisoned") = Box::new(move || RouteState::Awake {
        node: cluster_address(moved),
    });
    let client = plain(world.edge, &config()).await.expect("in");
    client.batch_execute("select 1").await.expect("answered");
}
