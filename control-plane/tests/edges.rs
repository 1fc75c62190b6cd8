//! What edges are told, and by whom they must be known.

use crate::support::{FakeRuntime, TestCloud};
use hyper_util::rt::TokioIo;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::route::{Resolve, Route, RouteState, RouteUpdate, Wake, WatchRoutes};
use lumadb_contract::rpc::EdgeControlClient;
use lumadb_control_plane::workflow::edge_control;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Streaming};

struct Edge {
    client: EdgeControlClient<Channel>,
    token: String,
    _folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn edge(cloud: &TestCloud) -> Edge {
    let folder = std::env::temp_dir().join(format!("lumadb-edge-{}", cloud.clock.new_uuid()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let socket = folder.join("control.sock");
    let (platform, path) = (cloud.platform.clone(), socket.clone());
    tokio::spawn(
        async move { edge_control::serve(platform, &path, CancellationToken::new()).await },
    );
    cloud
        .until(|| async { socket.exists().then_some(()) })
        .await;
    let channel = Endpoint::from_static("http://edge-control")
        .connect_with_connector(tower::service_fn(move |_| {
            let socket = socket.clone();
            async move {
                let stream = tokio::net::UnixStream::connect(socket).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        }))
        .await
        .expect("it answers");
    Edge {
        client: EdgeControlClient::new(channel),
        token: cloud
            .edge_signer
            .edge(&cloud.clock, "local")
            .expect("a token"),
        _folder: Folder(folder),
    }
}

impl Edge {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.token).parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
        request
    }

    async fn watch(&mut self, cursor: Option<u64>) -> Streaming<RouteUpdate> {
        let request = self.request(WatchRoutes {
            region: "local".into(),
            cursor,
        });
        self.client
            .watch_routes(request)
            .await
            .expect("a stream")
            .into_inner()
    }

    async fn resolve(&mut self, database_id: DatabaseId) -> Option<Route> {
        let request = self.request(Resolve {
            region: "local".into(),
            database_id,
        });
        let answer = self.client.resolve(request).await.expect("an answer");
        answer.into_inner().route
    }

    async fn wake(&mut self, database_id: DatabaseId) -> Option<Route> {
        let request = self.request(Wake {
            region: "local".into(),
            database_id,
        });
        let answer = self.client.wake(request).await.expect("an answer");
        answer.into_inner().route
    }
}

async fn next(updates: &mut Streaming<RouteUpdate>) -> RouteUpdate {
    tokio::time::timeout(Duration::from_secs(20), updates.message())
        .await
        .expect("an update in time")
        .expect("no error")
        .expect("an update")
}

#[tokio::test]
async fn nobody_is_told_a_route_without_a_token_for_that_region() {
    let cloud = TestCloud::new().await;
    let mut edge = edge(&cloud).await;
    let ask = |region: &str| Resolve {
        region: region.into(),
        database_id: "db_00000000000000000000000001".parse().expect("an ID"),
    };
    let bare = edge.client.resolve(Request::new(ask("local"))).await;
    assert_eq!(bare.expect_err("refused").code(), Code::Unauthenticated);
    let foreign = edge.request(ask("elsewhere"));
    let foreign = edge.client.resolve(foreign).await;
    assert_eq!(foreign.expect_err("refused").code(), Code::PermissionDenied);
    cloud.clock.advance(time::Duration::minutes(10));
    let late = edge.request(ask("local"));
    let late = edge.client.resolve(late).await;
    assert_eq!(late.expect_err("refused").code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_edge_sees_everything_first_and_then_each_change() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let first = cloud.running(&ada, "first").await;
    let mut edge = edge(&cloud).await;
    let mut updates = edge.watch(None).await;
    let all = next(&mut updates).await;
    assert!(all.complete);
    assert_eq!(all.routes.len(), 1);
    assert_eq!(all.routes[0].database_id, first);
    assert!(matches!(all.routes[0].state, RouteState::Awake { .. }));
    assert_eq!(all.routes[0].roles[0].name.as_str(), "owner");
    assert_eq!(all.routes[0].connections_max, 100);

    // A password that is rotated reaches the edge.
    let roles = format!("/v1/databases/{first}/roles");
    let listed = cloud.get(&roles).cookie(&ada.cookie).send().await;
    let path = format!("{roles}/{}/rotate-password", listed.text("/items/0/id"));
    cloud.act(&ada, &path).await.expect(200);
    let rotated = next(&mut updates).await;
    assert!(!rotated.complete);
    assert!(rotated.routes[0].revision > all.routes[0].revision);
    assert_ne!(rotated.routes[0].roles, all.routes[0].roles);

    // One that comes back goes on where it was.
    let cursor = rotated.cursor;
    drop(updates);
    let second = cloud.running(&ada, "second").await;
    let delete = format!("/v1/databases/{first}");
    let deleted = cloud.delete(&delete).cookie(&ada.cookie).send().await;
    cloud.ended(&ada, &deleted.text("/operation/id")).await;
    let mut updates = edge.watch(Some(cursor)).await;
    let missed = next(&mut updates).await;
    assert!(!missed.complete);
    assert!(
        missed
            .routes
            .iter()
            .any(|route| route.database_id == second)
    );
    assert_eq!(missed.removed, [first]);

    // A cursor of another database starts over.
    let mut updates = edge.watch(Some(u64::MAX / 2)).await;
    assert!(next(&mut updates).await.complete);
}

#[tokio::test]
async fn a_change_that_commits_late_is_not_passed_over() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let (slow, _) = cloud.created(&ada, "slow").await;
    let (quick, _) = cloud.created(&ada, "quick").await;
    let mut edge = edge(&cloud).await;
    let mut updates = edge.watch(None).await;
    next(&mut updates).await;

    let bump = "update databases set generation = generation + 1 where id = $1";
    let mut open = cloud.admin.begin().await.expect("begun");
    sqlx::query(bump)
        .bind(slow.uuid())
        .execute(&mut *open)
        .await
        .expect("updated");
    sqlx::query(bump)
        .bind(quick.uuid())
        .execute(&cloud.admin)
        .await
        .expect("updated");
    let update = next(&mut updates).await;
    assert_eq!(update.routes.len(), 1);
    assert_eq!(update.routes[0].database_id, quick);
    open.commit().await.expect("committed");
    let update = next(&mut updates).await;
    assert_eq!(
        update.routes.len(),
        1,
        "and what was sent is not sent again"
    );
    assert_eq!(update.routes[0].database_id, slow);
}

#[tokio::test]
async fn a_sleeping_database_wakes_and_a_suspended_one_does_not() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "nap").await;
    runtime.set_idle(id, Some(cloud.clock.now()));
    cloud.clock.advance(time::Duration::seconds(300));
    cloud.in_state(&ada, id, "asleep").await;
    let mut edge = edge(&cloud).await;
    let asleep = edge.resolve(id).await.expect("a route");
    assert_eq!(asleep.state, RouteState::Asleep);
    runtime.set_idle(id, None);
    let awake = edge.wake(id).await.expect("a route");
    assert!(awake.state.node().is_some(), "{awake:?}");

    let path = format!("/v1/databases/{id}/suspend");
    let asked = cloud.act(&ada, &path).await;
    asked.expect(200);
    cloud.ended(&ada, &asked.text("/operation/id")).await;
    let suspended = edge.wake(id).await.expect("a route");
    assert_eq!(suspended.state, RouteState::Suspended);
    let nobody = "db_00000000000000000000000001".parse().expect("an ID");
    assert_eq!(edge.wake(nobody).await, None);

    // What the owner turned off, the owner turns on.
    let path = format!("/v1/databases/{id}/resume");
    cloud.act(&ada, &path).await.expect(200);
    let awake = edge.wake(id).await.expect("a route");
    assert!(awake.state.node().is_some(), "{awake:?}");
    assert_eq!(json!(runtime.made(id)), json!(1));
}
