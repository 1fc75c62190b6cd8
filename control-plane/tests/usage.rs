//! Samples in once, hours out exactly.

use crate::support::{FakeRuntime, Person, START, TestCloud};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::runtime::{ComputeSpan, Reports};
use serde_json::Value;
use time::Duration;
use uuid::Uuid;

fn incarnation(number: u128) -> IncarnationId {
    IncarnationId::from_uuid(Uuid::from_u128(number))
}

fn sample(of: u128, sequence: u64, seconds: i64, requests: u64, storage_bytes: u64) -> UsageSample {
    UsageSample {
        incarnation_id: incarnation(of),
        sequence,
        taken_at: START + Duration::seconds(seconds),
        counters: UsageCounters {
            requests,
            transfer_out_bytes: requests.saturating_mul(100),
            ..UsageCounters::default()
        },
        gauges: UsageGauges {
            storage_bytes,
            connections: 3,
        },
        last: false,
    }
}

struct Metered {
    cloud: TestCloud,
    ada: Person,
    id: DatabaseId,
    reports: Reports,
}

async fn metered() -> Metered {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let (id, _) = cloud.created(&ada, "a").await;
    Metered {
        reports: Reports::new(cloud.platform.store.clone(), cloud.clock.clone()),
        cloud,
        ada,
        id,
    }
}

impl Metered {
    async fn usage(&self, query: &str) -> Value {
        let path = format!("/v1/databases/{}/usage{query}", self.id);
        let answer = self.cloud.get(&path).cookie(&self.ada.cookie).send().await;
        answer.expect(200);
        answer.body
    }
}

#[tokio::test]
async fn samples_that_come_twice_late_or_out_of_order_count_once() {
    let metered = metered().await;
    metered.cloud.clock.advance(Duration::hours(2));
    let all = [
        sample(1, 1, 0, 10, 1000),
        sample(1, 2, 10, 25, 1000),
        sample(1, 3, 3600, 40, 2000),
    ];
    let stored = metered
        .reports
        .samples(metered.id, &all[..2])
        .await
        .expect("stored");
    assert_eq!(stored, [(incarnation(1), 2)]);
    for _ in 0..3 {
        let again: Vec<_> = all.iter().rev().cloned().collect();
        let stored = metered
            .reports
            .samples(metered.id, &again)
            .await
            .expect("stored");
        assert_eq!(stored, [(incarnation(1), 3)]);
    }
    let usage = metered.usage("").await;
    assert_eq!(usage["totals"]["requests"], 40);
    assert_eq!(usage["totals"]["transfer_out_bytes"], 4000);
    // The smaller neighbor counts: 1000 bytes for an hour.
    assert_eq!(usage["totals"]["storage_byte_seconds"], "3600000");
    assert_eq!(usage["items"][0]["requests"], 25);
    assert_eq!(usage["items"][1]["requests"], 15);
    let database = metered.cloud.database(&metered.ada, metered.id).await;
    assert_eq!(database["storage_bytes"], 2000);
    assert_eq!(database["connections"], 3);
}

#[tokio::test]
async fn batches_at_the_same_moment_do_not_count_twice() {
    let metered = metered().await;
    let samples: Vec<_> = (1..=50)
        .map(|n| sample(1, n, i64::try_from(n).expect("small"), n * 2, 10))
        .collect();
    let send = || metered.reports.samples(metered.id, &samples);
    let (a, b, c) = tokio::join!(send(), send(), send());
    for stored in [a, b, c] {
        assert_eq!(stored.expect("stored"), [(incarnation(1), 50)]);
    }
    assert_eq!(metered.usage("").await["totals"]["requests"], 100);
}

#[tokio::test]
async fn a_gap_is_counted_and_loses_no_request() {
    let metered = metered().await;
    for sample in [sample(1, 1, 0, 5, 1), sample(1, 4, 3, 9, 1)] {
        metered
            .reports
            .samples(metered.id, &[sample])
            .await
            .expect("stored");
    }
    let gaps: i64 = sqlx::query_scalar("select gaps from usage_incarnations")
        .fetch_one(&metered.cloud.admin)
        .await
        .expect("a row");
    assert_eq!(gaps, 2);
    assert_eq!(metered.usage("").await["totals"]["requests"], 9);
}

#[tokio::test]
async fn what_cannot_be_true_is_refused_whole() {
    let metered = metered().await;
    let take = async |samples: &[UsageSample]| metered.reports.samples(metered.id, samples).await;
    take(&[sample(1, 1, 0, 10, 1)]).await.expect("stored");
    let shrinks = take(&[sample(1, 2, 1, 20, 1), sample(1, 3, 2, 19, 1)]).await;
    assert!(!shrinks.expect_err("refused").is_transient());
    let ahead = take(&[sample(1, 2, 301, 20, 1)]).await;
    assert!(ahead.expect_err("refused").is_transient());
    let overflow = take(&[sample(1, 2, 1, u64::MAX, 1)]).await;
    assert!(overflow.is_err());
    let nobody = "db_00000000000000000000000001".parse().expect("an ID");
    assert!(
        metered
            .reports
            .samples(nobody, &[sample(2, 1, 0, 1, 1)])
            .await
            .is_err()
    );
    let (other, _) = metered.cloud.created(&metered.ada, "b").await;
    let foreign = [sample(1, 2, 1, 20, 1)];
    let foreign = metered.reports.samples(other, &foreign).await;
    assert!(foreign.is_err(), "an incarnation has one database");
    assert_eq!(metered.usage("").await["totals"]["requests"], 10);
}

#[tokio::test]
async fn asleep_storage_is_held_and_compute_is_not() {
    let metered = metered().await;
    let mut last = sample(1, 2, 60, 1, 5000);
    last.last = true;
    metered
        .reports
        .samples(metered.id, &[sample(1, 1, 0, 1, 4000), last])
        .await
        .expect("stored");
    let span = |ended_at, seen| ComputeSpan {
        database_id: metered.id,
        incarnation_id: incarnation(1),
        started_at: START,
        ended_at,
        seen_at: START + Duration::seconds(seen),
        milli_vcpu: 250,
    };
    let ended = Some(START + Duration::seconds(60));
    for span in [span(None, 30), span(ended, 60), span(None, 45)] {
        metered.reports.compute_span(span).await.expect("stored");
    }
    metered.cloud.clock.advance(Duration::seconds(3660));
    let totals = &metered.usage("?granularity=day").await["totals"];
    assert_eq!(totals["compute_milli_vcpu_seconds"], 250 * 60);
    let byte_seconds: u64 = 4000 * 60 + 5000 * 3600;
    assert_eq!(totals["storage_byte_seconds"], byte_seconds.to_string());
}

#[tokio::test]
async fn what_is_deleted_stores_nothing_any_more() {
    let metered = metered().await;
    let mut last = sample(1, 1, 0, 1, 5000);
    last.last = true;
    let sent = metered.reports.samples(metered.id, &[last]).await;
    sent.expect("stored");
    metered.cloud.clock.advance(Duration::hours(2));
    let runtime = FakeRuntime::new();
    let _loop = metered.cloud.start_loop(&runtime);
    let path = format!("/v1/databases/{}", metered.id);
    let asked = metered
        .cloud
        .delete(&path)
        .cookie(&metered.ada.cookie)
        .send()
        .await;
    let operation = asked.text("/operation/id");
    metered.cloud.ended(&metered.ada, &operation).await;
    let held = metered.usage("").await["totals"]["storage_byte_seconds"].clone();
    let bytes: u64 = held
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a number");
    assert!((5000 * 7200..5000 * 7300).contains(&bytes), "{bytes}");
    metered.cloud.clock.advance(Duration::hours(5));
    let later = metered.usage("").await["totals"]["storage_byte_seconds"].clone();
    assert_eq!(later, held);
}

#[tokio::test]
async fn live_figures_are_rates_between_samples() {
    let metered = metered().await;
    let samples: Vec<_> = (0..60)
        .map(|n: u64| sample(1, n + 1, i64::try_from(n).expect("small"), n * 10, 77))
        .collect();
    metered
        .reports
        .samples(metered.id, &samples)
        .await
        .expect("stored");
    metered.cloud.clock.advance(Duration::seconds(60));
    let path = format!("/v1/databases/{}/metrics?minutes=1", metered.id);
    let answer = metered
        .cloud
        .get(&path)
        .cookie(&metered.ada.cookie)
        .send()
        .await;
    answer.expect(200);
    let points = answer.body["points"].as_array().expect("points");
    assert_eq!(points.len(), 30);
    assert_eq!(points[10]["requests_per_second"], 10.0);
    assert_eq!(points[29]["storage_bytes"], 77);
    let path = format!("/v1/databases/{}/metrics?minutes=0", metered.id);
    let answer = metered
        .cloud
        .get(&path)
        .cookie(&metered.ada.cookie)
        .send()
        .await;
    answer.expect_problem(400, "invalid_request");
}

/// The databases of an organization's usage: what each is called, and whether it was deleted.
fn named(usage: &Value) -> Vec<(&str, bool)> {
    let databases = usage["databases"].as_array().expect("databases").iter();
    let named = databases.map(|database| (database["name"].as_str(), &database["is_deleted"]));
    named
        .map(|(name, is_deleted)| {
            let is_deleted = is_deleted.as_bool().expect("whether it was deleted");
            (name.expect("a name"), is_deleted)
        })
        .collect()
}

#[tokio::test]
async fn an_organizations_usage_names_what_is_there_and_what_was() {
    let metered = metered().await;
    let (gone, _) = metered.cloud.created(&metered.ada, "gone").await;
    let (never_used, _) = metered.cloud.created(&metered.ada, "never-used").await;
    let used = [sample(1, 1, 0, 10, 1000)];
    let stored = metered.reports.samples(gone, &used).await;
    stored.expect("stored");
    sqlx::query("update databases set deleted_at = $1 where id in ($2, $3)")
        .bind(START)
        .bind(gone.uuid())
        .bind(never_used.uuid())
        .execute(&metered.cloud.admin)
        .await
        .expect("deleted");
    metered.cloud.created(&metered.ada, "idle").await;
    let ask = async |query: String| {
        let organization = metered.ada.organization;
        let path = format!("/v1/organizations/{organization}/usage?group_by=database{query}");
        let call = metered.cloud.get(&path).cookie(&metered.ada.cookie);
        let answer = call.send().await;
        answer.expect(200);
        answer.body
    };
    let all = ask(String::new()).await;
    assert_eq!(named(&all), [("a", false), ("gone", true), ("idle", false)]);
    let one = ask(format!("&database_id={}", metered.id)).await;
    assert_eq!(named(&one), [("a", false)]);
    let project = ask(format!("&project_id={}", metered.ada.project)).await;
    assert_eq!(named(&project).len(), 3);
    // Before any of it was used.
    let before = ask("&from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z".into()).await;
    assert_eq!(named(&before), [("a", false), ("idle", false)]);
}

#[tokio::test]
async fn an_organizations_usage_is_put_together_as_asked() {
    let metered = metered().await;
    let (other, _) = metered.cloud.created(&metered.ada, "b").await;
    metered.cloud.clock.advance(Duration::hours(26));
    let first = [sample(1, 1, 0, 10, 1000), sample(1, 2, 3600, 40, 1000)];
    let stored = metered.reports.samples(metered.id, &first).await;
    stored.expect("stored");
    let second = [sample(2, 1, 0, 7, 1), sample(2, 2, 90_000, 9, 1)];
    let stored = metered.reports.samples(other, &second).await;
    stored.expect("stored");
    let organization = metered.ada.organization;
    let ask = async |query: &str| {
        let path = format!("/v1/organizations/{organization}/usage?{query}");
        let call = metered.cloud.get(&path).cookie(&metered.ada.cookie);
        call.send().await
    };
    let from = "from=2026-11-23T00:00:00Z";
    let all = ask(&format!("{from}&granularity=month")).await;
    all.expect(200);
    assert_eq!(all.body["totals"]["requests"], 49);
    assert_eq!(all.text("/from"), "2026-11-01T00:00:00Z");
    assert_eq!(all.text("/to"), "2026-12-01T00:00:00Z");
    assert_eq!(all.body["items"].as_array().map(Vec::len), Some(1));
    let days = ask(&format!("{from}&granularity=day&group_by=database")).await;
    let of = |day: &str, id: DatabaseId| {
        let items = days.body["items"].as_array().expect("items").iter();
        let mut found =
            items.filter(|item| item["start"] == day && item["database_id"] == id.to_string());
        found.next().map(|item| item["requests"].clone())
    };
    assert_eq!(of("2026-11-23T00:00:00Z", metered.id), Some(40.into()));
    assert_eq!(of("2026-11-23T00:00:00Z", other), Some(7.into()));
    assert_eq!(of("2026-11-24T00:00:00Z", other), Some(2.into()));
    assert_eq!(named(&days.body), [("a", false), ("b", false)]);
    let projects = ask(&format!("{from}&granularity=day&group_by=project")).await;
    assert_eq!(named(&projects.body), []);
    assert_eq!(
        projects.text("/items/0/project_id"),
        metered.ada.project.to_string()
    );
    let one = ask(&format!("{from}&database_id={other}")).await;
    assert_eq!(one.body["totals"]["requests"], 9);
    for bad in [
        "group_by=meter",
        "granularity=year",
        "from=2020-01-01T00:00:00Z&granularity=month",
        "project_id=x",
    ] {
        ask(bad).await.expect_problem(400, "invalid_request");
    }
}

#[tokio::test]
async fn an_hour_opens_into_its_samples() {
    let metered = metered().await;
    metered.cloud.clock.advance(Duration::hours(2));
    let samples: Vec<_> = (1..=120)
        .map(|n| sample(1, n, i64::try_from(n).expect("small") * 31, n * n, 10))
        .collect();
    metered
        .reports
        .samples(metered.id, &samples)
        .await
        .expect("stored");
    let page = async |query: &str| {
        let path = format!("/v1/databases/{}/usage/samples?{query}", metered.id);
        let call = metered.cloud.get(&path).cookie(&metered.ada.cookie);
        call.send().await
    };
    for (hour, sequences) in [(12, 116), (13, 4)] {
        let mut query = format!("hour=2026-11-23T{hour}:30:00Z&limit=50");
        let (mut added, mut seen) = (0, 0);
        loop {
            let found = page(&query).await;
            found.expect(200);
            for item in found.body["items"].as_array().expect("items") {
                added += item["added"]["requests"].as_u64().expect("a number");
                seen += 1;
            }
            let Some(cursor) = found.body["next_cursor"].as_str() else {
                break;
            };
            query = format!("hour=2026-11-23T{hour}:30:00Z&limit=50&cursor={cursor}");
        }
        assert_eq!(seen, sequences);
        let usage = metered.usage("").await;
        assert_eq!(usage["items"][hour - 12]["requests"], added);
    }
    for bad in [
        "",
        "hour=now",
        "hour=2026-11-23T12:00:00Z&cursor=1.2.3",
        "hour=2026-11-23T12:00:00Z&limit=0",
    ] {
        page(bad).await.expect_problem(400, "invalid_request");
    }
    let eve = metered.cloud.person("eve@example.com").await;
    let path = format!(
        "/v1/databases/{}/usage/samples?hour=2026-11-23T12:00:00Z",
        metered.id
    );
    let foreign = metered.cloud.get(&path).cookie(&eve.cookie).send().await;
    foreign.expect_problem(404, "not_found");
}
