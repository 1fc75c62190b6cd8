//! Invoices and their corrections beside a second calculation.

use super::{DECEMBER, JANUARY, Node};
use crate::support::{Person, START, TestCloud};
use lumadb_contract::id::{DatabaseId, IncarnationId, OrganizationId};
use lumadb_contract::usage::UsageCounters;
use lumadb_control_plane::app::{Limits, Settings};
use lumadb_control_plane::runtime::ComputeSpan;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Organizations under four plans, each with two databases that did something in November.
async fn used_in_november(cloud: &TestCloud) -> Vec<(Person, Node, Node)> {
    let mut people = Vec::new();
    for (number, plan) in ["pro-payg", "pro-starter", "pro-growth", "free"]
        .iter()
        .enumerate()
    {
        let person = cloud.person(&format!("p{number}@example.com")).await;
        if *plan != "free" {
            cloud.plan_change(&person, plan).await.expect(201);
        }
        let (first, _) = cloud.created(&person, "a").await;
        let (second, _) = cloud.created(&person, "b").await;
        let base = u128::try_from(number).expect("small") * 10;
        people.push((
            person,
            Node::new(first, base + 1),
            Node::new(second, base + 2),
        ));
    }
    let quarter = Duration::minutes(15);
    for (number, (_, first, second)) in (1_u64..).zip(&mut people) {
        let stored = number * 170_000_000_000;
        for step in 0_u64..20 {
            let at =
                START + quarter * i32::try_from(step).expect("small") + Duration::microseconds(7);
            cloud.move_to(at.max(cloud.clock.now()));
            first
                .says(
                    cloud,
                    at,
                    777_777 * number + step,
                    stored + step * 1001,
                    step == 19,
                )
                .await;
            second
                .says(cloud, at, 131_313, 5_000_000_003, step == 19)
                .await;
        }
        let end = START + quarter * 19 + Duration::microseconds(7);
        first
            .ran(cloud, START + Duration::microseconds(13), end, 2000)
            .await;
        second
            .ran(cloud, START + Duration::seconds(99), end, 1000)
            .await;
    }
    people
}

/// It was counted in November, and comes in December.
async fn late_in_november(cloud: &TestCloud, people: &mut [(Person, Node, Node)]) {
    for (_, first, _) in people {
        let at = DECEMBER - Duration::minutes(90);
        first.incarnation =
            IncarnationId::from_uuid(Uuid::from_u128(1000 + first.incarnation.uuid().as_u128()));
        first.sequence = 0;
        first.counters = UsageCounters::default();
        first.says(cloud, at, 12_345_678, 1, false).await;
        first.ran(cloud, at, at + Duration::minutes(61), 4000).await;
    }
}

#[tokio::test]
async fn invoices_equal_a_second_calculation_and_so_do_their_corrections() {
    let cloud = TestCloud::new().await;
    let mut people = used_in_november(&cloud).await;
    let (switcher, ..) = &people[0];
    cloud.plan_change(switcher, "pro-scale").await.expect(201);
    cloud.move_to(DECEMBER + Duration::minutes(3));
    assert_eq!(cloud.work().await, people.len());
    let mut first_inputs = Vec::new();
    let mut closings = Vec::new();
    for (person, ..) in &people {
        closings.push(cloud.closing(person, "2026-11").await);
        first_inputs.push(cloud.input(person.organization).await);
    }
    for (closing, (person, ..)) in closings.iter().zip(&people) {
        cloud.opens_into_hours(person, closing).await;
    }
    late_in_november(&cloud, &mut people).await;
    let mut inputs = Vec::new();
    for ((person, ..), mut input) in people.iter().zip(first_inputs) {
        let later = cloud.input(person.organization).await;
        input["hours_later"] = later["hours"].clone();
        input["spans_later"] = later["spans"].clone();
        inputs.push(input);
    }
    let theirs = calculate(&inputs);
    for ((closing, theirs), (person, ..)) in closings.iter().zip(&theirs).zip(&people) {
        assert_eq!(
            lines_of(closing),
            theirs["closing"]["lines"],
            "{}",
            person.email
        );
        assert_eq!(
            closing["total_cents"], theirs["closing"]["total"],
            "{}",
            person.email
        );
    }
    cloud.move_to(JANUARY);
    for (_, first, _) in &mut people {
        first.says(&cloud, JANUARY, 0, 1, true).await;
    }
    while cloud.work().await > 0 {}
    for ((person, ..), theirs) in people.iter().zip(&theirs) {
        let person = &cloud.again(person).await;
        let december = cloud.closing(person, "2026-12").await;
        let corrected: i64 = december["lines"]
            .as_array()
            .expect("lines")
            .iter()
            .filter(|line| line["corrects"] == "2026-11")
            .map(|line| line["amount_cents"].as_i64().expect("cents"))
            .sum();
        let expected: i64 = theirs["corrections"]
            .as_array()
            .expect("corrections")
            .iter()
            .map(|line| line[3].as_i64().expect("cents"))
            .sum();
        assert_eq!(corrected, expected, "{}", person.email);
        let draft = cloud.billing_of(person, "invoices/draft").await;
        let lines = draft["lines"].as_array().expect("lines");
        assert!(
            lines.iter().all(|line| line["corrects"].is_null()),
            "corrected once"
        );
    }
    let late = i64::try_from(
        theirs
            .iter()
            .filter(|t| t["corrections"] != json!([]))
            .count(),
    );
    assert!(late.expect("few") >= 2, "the test corrects something");
}

/// Calculates in Python's fractions, from the catalogue alone.
fn calculate(inputs: &[Value]) -> Vec<Value> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../billing/tests/independent.py"
    );
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 on the PATH");
    let mut stdin = python.stdin.take().expect("piped");
    let text = serde_json::to_vec(inputs).expect("JSON");
    stdin.write_all(&text).expect("python reads");
    drop(stdin);
    let done = python.wait_with_output().expect("python ends");
    assert!(done.status.success(), "the independent calculation failed");
    serde_json::from_slice(&done.stdout).expect("JSON")
}

/// The lines of an invoice as the second calculation writes them.
fn lines_of(invoice: &Value) -> Value {
    let seconds = |text: &Value| {
        let text = text.as_str().expect("a time");
        let format = &time::format_description::well_known::Rfc3339;
        OffsetDateTime::parse(text, format)
            .expect("a time")
            .unix_timestamp()
    };
    let lines = invoice["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| {
            let mut out = json!({
                "kind": line["kind"], "from": seconds(&line["from"]), "to": seconds(&line["to"]),
                "cents": line["amount_cents"],
            });
            let usage = &line["usage"];
            if !usage.is_null() {
                out["kind"] = usage["meter"].clone();
                out["used"] = usage["used"].clone();
                out["billed"] = usage["billed"].clone();
                let shares = usage["shares"].as_array().expect("shares").iter();
                let shares = shares
                    .map(|s| json!([s["database_id"], s["used"], s["billed"], s["amount_cents"]]));
                out["shares"] = shares.collect();
            }
            out
        });
    lines.collect()
}

impl TestCloud {
    /// What the tables say of an organization's November, for the second calculation.
    async fn input(&self, organization: OrganizationId) -> Value {
        let us = |column: &str| format!("(extract(epoch from {column}) * 1000000)::bigint");
        let organization = organization.uuid();
        let query = |sql: String| {
            let admin = self.admin.clone();
            async move {
                let rows: Vec<Value> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                    .bind(organization)
                    .fetch_all(&admin)
                    .await
                    .expect("rows");
                rows
            }
        };
        let terms = query(format!(
            "select jsonb_build_object('from_us', {}, 'plan', plan_id, 'agreement', agreement)
             from subscriptions where organization_id = $1 order by starts_at, id",
            us("starts_at")
        ));
        let hours = query(
            "select jsonb_build_array(database_id, extract(epoch from starts_at)::bigint,
                    storage_byte_us::text, requests, transfer_out_bytes, vector_operations)
             from usage_hours where organization_id = $1 order by database_id, starts_at"
                .into(),
        );
        let spans = query(format!(
            "select jsonb_build_array(database_id, {}, {}, milli_vcpu)
             from compute_spans where organization_id = $1",
            us("started_at"),
            us("coalesce(ended_at, seen_at)")
        ));
        let (terms, hours, spans) = (terms.await, hours.await, spans.await);
        let named = |rows: Vec<Value>| -> Vec<Value> {
            let named = rows.into_iter().map(|mut row| {
                let id: Uuid = serde_json::from_value(row[0].clone()).expect("an ID");
                row[0] = json!(DatabaseId::from_uuid(id));
                row
            });
            named.collect()
        };
        let (hours, spans) = (named(hours), named(spans));
        json!({
            "month": [datetime!(2026-11-01 0:00 UTC).unix_timestamp(), DECEMBER.unix_timestamp()],
            "next_month": [DECEMBER.unix_timestamp(), JANUARY.unix_timestamp()],
            "terms": terms, "hours": hours, "spans": spans, "hours_later": hours,
            "spans_later": spans, "spend_cap": null, "credits": [], "tax": 0,
        })
    }
}

/// What shares are of has a name, and nothing else does.
fn names_its_databases(invoice: &Value) {
    let lines = invoice["lines"].as_array().expect("lines").iter();
    let shares = lines.filter_map(|line| line["usage"]["shares"].as_array());
    let billed: BTreeSet<_> = shares
        .flatten()
        .map(|share| share["database_id"].as_str())
        .collect();
    let databases = invoice["databases"].as_array().expect("databases").iter();
    let named = databases.inspect(|database| assert_ne!(database["name"], "", "{invoice}"));
    let named: BTreeSet<_> = named.map(|database| database["id"].as_str()).collect();
    assert_eq!(named, billed, "{invoice}");
}

impl TestCloud {
    /// Every line for usage is the sum of its hours, and of its databases' hours.
    async fn opens_into_hours(&self, person: &Person, invoice: &Value) {
        let id = invoice["id"].as_str().expect("an ID");
        let lines = invoice["lines"].as_array().expect("lines");
        let mut opened = 0;
        for line in lines.iter().filter(|line| !line["usage"].is_null()) {
            let path = format!("/v1/invoices/{id}/lines/{}/hours", line["position"]);
            let hours = self.get(&path).cookie(&person.cookie).send().await;
            hours.expect(200);
            assert_eq!(hours.body["used"], line["usage"]["used"], "{line}");
            assert!(!hours.body["items"].as_array().expect("hours").is_empty());
            for share in line["usage"]["shares"].as_array().expect("shares") {
                let database = share["database_id"].as_str().expect("an ID");
                let path = format!("{path}?database_id={database}");
                let hours = self.get(&path).cookie(&person.cookie).send().await;
                assert_eq!(hours.body["used"], share["used"], "{line}");
                opened += 1;
            }
        }
        assert!(opened > 0, "{invoice}");
        names_its_databases(invoice);
        let missing = format!("/v1/invoices/{id}/lines/{}/hours", lines.len());
        let missing = self.get(&missing).cookie(&person.cookie).send().await;
        missing.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_month_can_be_seen_to_end_by_moving_billings_clock() {
    let cloud = TestCloud::with(Settings {
        billing_clock_moves: true,
        limits: Limits {
            requests_per_minute: 1_000_000,
            ..Limits::default()
        },
        ..Settings::default()
    })
    .await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-payg").await.expect(201);
    let (id, _) = cloud.created(&ada, "a").await;
    let mut node = Node::new(id, 1);
    cloud.move_to(START + Duration::hours(1));
    node.says(
        &cloud,
        START + Duration::minutes(59),
        1_000_000,
        1_000_000_000,
        false,
    )
    .await;
    let span = |ended_at, seen_at| ComputeSpan {
        database_id: id,
        incarnation_id: node.incarnation,
        started_at: START,
        ended_at,
        seen_at,
        milli_vcpu: 1000,
    };
    let open = span(None, START + Duration::hours(1));
    cloud.reports().compute_span(open).await.expect("stored");
    // Eight days, past the time in which usage of November is waited for.
    let ahead = json!({ "seconds": 691_200 });
    let call = cloud.post("/v1/billing-clock").cookie(&ada.cookie);
    call.json(&ahead).send().await.expect(200);
    assert_eq!(cloud.work().await, 0, "nothing has been heard since");
    cloud.move_to(START + Duration::hours(2));
    let end = START + Duration::hours(2);
    cloud
        .reports()
        .compute_span(span(Some(end), end))
        .await
        .expect("stored");
    cloud
        .reports()
        .compute_span(span(None, end))
        .await
        .expect("stored");
    node.says(&cloud, end, 500_000, 1_000_000_000, true).await;
    assert_eq!(cloud.work().await, 1);
    let closing = cloud.closing(&ada, "2026-11").await;
    let theirs = calculate(&[cloud.input(ada.organization).await]);
    assert_eq!(lines_of(&closing), theirs[0]["closing"]["lines"]);
    assert_eq!(closing["total_cents"], theirs[0]["closing"]["total"]);
    // As if it had run all the time between: seven and a half days at 5 cents an hour.
    let compute = &closing["lines"][1];
    assert_eq!(compute["usage"]["meter"], "compute");
    assert_eq!(compute["amount_cents"], 900);
    let spans: i64 = sqlx::query_scalar("select count(*) from compute_spans")
        .fetch_one(&cloud.admin)
        .await
        .expect("counted");
    assert_eq!(
        spans, 1,
        "a span is known again by its start as it was said"
    );
    // What comes now is December's, and the live figures are of now.
    let usage = cloud.billing_of(&ada, "usage?granularity=month").await;
    assert_eq!(usage["items"][0]["start"], "2026-12-01T00:00:00Z");
    assert_eq!(usage["totals"]["requests"], 500_000);
    cloud.clock.advance(Duration::seconds(10));
    let path = format!("/v1/databases/{id}/metrics");
    let live = cloud.get(&path).cookie(&ada.cookie).send().await;
    let last = live.body["points"]
        .as_array()
        .and_then(|points| points.last().cloned());
    assert_eq!(last.expect("points")["storage_bytes"], 1_000_000_000);
}
