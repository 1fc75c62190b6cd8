//! The proxy breaks what it is told to break, and nothing else.

use super::{LIMIT, config_map, create, names, namespace};
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use lumadb_e2e::Outcome;
use lumadb_e2e::api::Api as Http;
use lumadb_e2e::kubernetes::Cluster;
use lumadb_e2e::kubernetes::proxy::{Fault, Proxy, Sort};
use lumadb_e2e::wait::until;
use serde_json::json;
use std::pin::pin;

#[tokio::test]
async fn writes_are_counted_and_all_is_seen() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let proxy = Proxy::start(&cluster).await?;
    namespace(&cluster.client().await?, "counted", &json!({})).await?;
    let maps: Api<ConfigMap> = Api::namespaced(proxy.client().await?, "counted");
    create(&maps, config_map("one")).await?;
    assert!(create(&maps, config_map("one")).await.is_err());
    maps.delete("one", &kube::api::DeleteParams::default())
        .await?;
    assert!(names(&maps).await?.is_empty());
    // The one that was refused changed nothing.
    assert_eq!(proxy.writes(), 2);
    let sorts: Vec<_> = proxy.seen().into_iter().map(|seen| seen.sort).collect();
    assert_eq!(sorts, [Sort::Write, Sort::Write, Sort::Write, Sort::Read]);
    Ok(())
}

#[tokio::test]
async fn requests_fail_as_planned() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let proxy = Proxy::start(&cluster).await?;
    let http = Http::new(&proxy.url());
    let faults = [
        (Fault::TooMany, 429, "TooManyRequests"),
        (Fault::Gone, 410, "Expired"),
        (Fault::Internal, 500, "InternalError"),
    ];
    for (fault, code, reason) in faults {
        proxy.plan(move |seen| (seen.number % 2 == 1).then_some(fault));
        let answer = http.get("/version").await?.expect(code)?;
        assert_eq!(answer.body["kind"], "Status");
        assert_eq!(answer.body["reason"], reason);
        assert_eq!(answer.body["code"], code);
        let retry = answer.header("retry-after");
        assert_eq!(retry.is_some(), fault == Fault::TooMany);
        http.get("/version").await?.expect(200)?;
    }
    proxy.plan(|_| Some(Fault::Lost));
    assert!(http.get("/version").await.is_err());
    proxy.plan(|_| None);
    http.get("/version").await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let proxy = Proxy::start(&cluster).await?;
    namespace(&cluster.client().await?, "unheard", &json!({})).await?;
    let maps: Api<ConfigMap> = Api::namespaced(proxy.client().await?, "unheard");
    proxy.plan(|seen| (seen.sort == Sort::Write).then_some(Fault::AnswerLost));
    assert!(create(&maps, config_map("done")).await.is_err());
    proxy.plan(|seen| (seen.sort == Sort::Write).then_some(Fault::Lost));
    assert!(create(&maps, config_map("lost")).await.is_err());
    assert_eq!(names(&maps).await?, ["done"]);
    assert_eq!(proxy.writes(), 1);
    Ok(())
}

#[tokio::test]
async fn everybody_is_cut_off_right_after_the_last_write() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let proxy = Proxy::start(&cluster).await?;
    let direct = cluster.client().await?;
    namespace(&direct, "cut", &json!({})).await?;
    let through: Api<ConfigMap> = Api::namespaced(proxy.client().await?, "cut");
    let mut watch = pin!(watch(&through).await?);
    let open = async |number: usize| {
        until("watches to open or end", LIMIT, async || {
            Ok((proxy.watches() == number).then_some(()))
        })
        .await
    };
    open(1).await?;

    proxy.cut_after(3);
    // All at once: still no more than three are done.
    let tries = (0..8).map(|number| {
        let through = &through;
        async move { create(through, config_map(&format!("map-{number}"))).await }
    });
    let answers = futures::future::join_all(tries).await;
    proxy.until_cut().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(proxy.writes(), 3);
    while let Some(Ok(_)) = watch.next().await {}
    open(0).await?;
    assert!(through.list(&ListParams::default()).await.is_err());
    let directly: Api<ConfigMap> = Api::namespaced(direct, "cut");
    assert_eq!(names(&directly).await?.len(), 3);

    proxy.mend();
    create(&through, config_map("after")).await?;
    assert_eq!(names(&through).await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn watches_end_as_ordered() -> Outcome<()> {
    let cluster = Cluster::shared().await?;
    let proxy = Proxy::start(&cluster).await?;
    let client: Client = proxy.client().await?;
    namespace(&client, "watched", &json!({})).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client, "watched");

    let mut dropped = pin!(watch(&maps).await?);
    create(&maps, config_map("one")).await?;
    next_added(&mut dropped, "one").await?;
    proxy.drop_watches();
    let end = dropped.next().await;
    assert!(matches!(end, Some(Err(_)) | None), "{end:?}");

    let mut expired = pin!(watch(&maps).await?);
    create(&maps, config_map("two")).await?;
    next_added(&mut expired, "two").await?;
    proxy.expire_watches();
    match expired.next().await {
        Some(Ok(WatchEvent::Error(status))) => assert_eq!(status.code, 410),
        other => return Err(format!("no word of it: {other:?}").into()),
    }
    assert!(expired.next().await.is_none());
    Ok(())
}

/// What happens to maps from the beginning on.
async fn watch(
    maps: &Api<ConfigMap>,
) -> Outcome<impl Stream<Item = kube::Result<WatchEvent<ConfigMap>>>> {
    Ok(maps.watch(&WatchParams::default(), "0").await?)
}

/// Reads on until a map was added.
async fn next_added(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Unpin),
    name: &str,
) -> Outcome<()> {
    while let Some(event) = events.next().await {
        if let WatchEvent::Added(map) = event?
            && map.metadata.name.as_deref() == Some(name)
        {
            return Ok(());
        }
    }
    Err(format!("the watch ended before {name} was added").into())
}
