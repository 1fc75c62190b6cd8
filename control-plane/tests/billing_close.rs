//! Months that end: one invoice each, equal to a second calculation; what is late, what is not paid.

use crate::support::{FakeRuntime, PASSWORD, Person, START, TestCloud};
use async_trait::async_trait;
use lumadb_billing::invoice::CreditedLine;
use lumadb_contract::id::{CreditNoteId, DatabaseId, IncarnationId, InvoiceId, OrganizationId};
use lumadb_contract::money::Cents;
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::app::billing::{self, Collection, CollectionMode};
use lumadb_control_plane::app::{Limits, Settings};
use lumadb_control_plane::runtime::ComputeSpan;
use lumadb_control_plane::store::billing::invoice::InvoiceRow;
use lumadb_control_plane::store::{EitherTx, StoreError};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub(crate) const DECEMBER: OffsetDateTime = datetime!(2026-12-01 0:00 UTC);
const JANUARY: OffsetDateTime = datetime!(2027-01-01 0:00 UTC);

/// A node of a test: what it counted so far.
struct Node {
    database: DatabaseId,
    incarnation: IncarnationId,
    sequence: u64,
    counters: UsageCounters,
}

impl Node {
    fn new(database: DatabaseId, number: u128) -> Self {
        Self {
            database,
            incarnation: IncarnationId::from_uuid(Uuid::from_u128(number)),
            sequence: 0,
            counters: UsageCounters::default(),
        }
    }

    /// Counts so much more and says so.
    async fn says(
        &mut self,
        cloud: &TestCloud,
        at: OffsetDateTime,
        more: u64,
        stored: u64,
        last: bool,
    ) {
        self.sequence += 1;
        self.counters.requests += more;
        self.counters.transfer_out_bytes += more * 1000;
        self.counters.vector_operations += more / 3;
        let sample = UsageSample {
            incarnation_id: self.incarnation,
            sequence: self.sequence,
            taken_at: at,
            counters: self.counters,
            gauges: UsageGauges {
                storage_bytes: stored,
                connections: 0,
            },
            last,
        };
        let taken = cloud.reports().samples(self.database, &[sample]).await;
        taken.expect("stored");
    }

    async fn ran(
        &self,
        cloud: &TestCloud,
        from: OffsetDateTime,
        to: OffsetDateTime,
        milli_vcpu: u32,
    ) {
        let span = ComputeSpan {
            database_id: self.database,
            incarnation_id: self.incarnation,
            started_at: from,
            ended_at: Some(to),
            seen_at: to,
            milli_vcpu,
        };
        cloud.reports().compute_span(span).await.expect("stored");
    }
}

impl TestCloud {
    pub(crate) fn move_to(&self, to: OffsetDateTime) {
        self.clock.advance(to - self.clock.now());
    }

    /// Logs in again: a session does not last for months.
    pub(crate) async fn again(&self, person: &Person) -> Person {
        let logged_in = self.log_in(&person.email, PASSWORD).await;
        logged_in.expect(200);
        Person {
            cookie: logged_in.cookie().expect("a session"),
            ..person.clone()
        }
    }

    pub(crate) async fn work(&self) -> usize {
        billing::work(&self.platform).await.expect("billing works")
    }

    async fn invoices(&self, person: &Person) -> Vec<Value> {
        let list = self.billing_of(person, "invoices").await;
        list["items"].as_array().expect("invoices").clone()
    }

    pub(crate) async fn closing(&self, person: &Person, period: &str) -> Value {
        let invoices = self.invoices(person).await;
        let mut of_period = invoices
            .iter()
            .filter(|i| i["period"] == period && i["kind"] == "period");
        let id = of_period.next().expect("an invoice")["id"].clone();
        assert!(of_period.next().is_none(), "one invoice for each period");
        let path = format!("/v1/invoices/{}", id.as_str().expect("an ID"));
        let found = self.get(&path).cookie(&person.cookie).send().await;
        found.expect(200);
        found.body
    }

    async fn pay(&self, person: &Person, invoice: &Value, reference: &str) {
        let id: InvoiceId = serde_json::from_value(invoice["id"].clone()).expect("an ID");
        let owed = Cents::new(invoice["outstanding_cents"].as_i64().expect("cents"));
        let mut tx = self.platform.store.region().await.expect("a scope");
        let either = &mut EitherTx::Region(&mut tx);
        let at = self.clock.now();
        let paid = billing::payment(either, person.organization, id, reference, owed, at).await;
        paid.expect("booked");
        tx.commit().await.expect("committed");
    }
}

#[tokio::test]
async fn a_month_is_closed_once_whoever_does_it() {
    let cloud = TestCloud::new().await;
    let people = [
        cloud.person("ada@example.com").await,
        cloud.person("eve@example.com").await,
    ];
    cloud
        .plan_change(&people[0], "pro-starter")
        .await
        .expect(201);
    cloud.move_to(DECEMBER - Duration::seconds(1));
    assert_eq!(cloud.work().await, 0);
    cloud.move_to(DECEMBER);
    let workers = (0..4).map(|_| billing::work(&cloud.platform));
    let done = futures::future::join_all(workers).await;
    let done: usize = done.into_iter().map(|done| done.expect("works")).sum();
    assert_eq!(done, 2);
    assert_eq!(cloud.work().await, 0);
    let paid = cloud.closing(&people[0], "2026-11").await;
    assert_eq!(paid["total_cents"], 2900, "the fee of December");
    assert_eq!(paid["state"], "final");
    let free = cloud.closing(&people[1], "2026-11").await;
    assert_eq!(free["total_cents"], 0);
    assert_eq!(free["state"], "paid");
    assert!(
        cloud
            .mails("eve@example.com")
            .await
            .iter()
            .all(|mail| !mail.contains("invoice"))
    );
    cloud.move_to(JANUARY);
    assert_eq!(
        cloud.work().await,
        4,
        "two months, and two invoices that are overdue"
    );
    let numbers: Vec<String> = sqlx::query_scalar("select number from invoices order by number")
        .fetch_all(&cloud.admin)
        .await
        .expect("numbers");
    let expected = [
        "INV-2026-000001",
        "INV-2026-000002",
        "INV-2026-000003",
        "INV-2027-000001",
        "INV-2027-000002",
    ];
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn months_that_nobody_closed_are_closed_one_after_the_other() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-starter").await.expect(201);
    cloud.move_to(datetime!(2027-02-10 0:00 UTC));
    while cloud.work().await > 0 {}
    let ada = cloud.again(&ada).await;
    for period in ["2026-11", "2026-12", "2027-01"] {
        assert_eq!(
            cloud.closing(&ada, period).await["total_cents"],
            2900,
            "{period}"
        );
    }
    let draft = cloud.billing_of(&ada, "invoices/draft").await;
    assert_eq!(draft["period"], "2027-02");
}

#[tokio::test]
async fn usage_is_waited_for_and_not_for_ever() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let (id, _) = cloud.created(&ada, "a").await;
    let mut node = Node::new(id, 1);
    cloud.move_to(DECEMBER + Duration::hours(1));
    node.says(&cloud, DECEMBER - Duration::minutes(1), 10, 1, false)
        .await;
    assert_eq!(cloud.work().await, 0, "its node has not passed the end");
    let draft = cloud
        .billing_of(&ada, "invoices/draft?period=2026-11")
        .await;
    assert_eq!(draft["period"], "2026-11");
    node.says(&cloud, DECEMBER, 10, 1, false).await;
    assert_eq!(cloud.work().await, 1);
    // A span that nobody ends is not waited for longer than usage.
    let span = ComputeSpan {
        database_id: id,
        incarnation_id: node.incarnation,
        started_at: DECEMBER,
        ended_at: None,
        seen_at: DECEMBER,
        milli_vcpu: 250,
    };
    cloud.reports().compute_span(span).await.expect("stored");
    cloud.move_to(JANUARY + Duration::hours(11));
    assert_eq!(cloud.work().await, 0);
    cloud.move_to(JANUARY + Duration::hours(12));
    assert_eq!(cloud.work().await, 1);
}

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
        let missing = format!("/v1/invoices/{id}/lines/{}/hours", lines.len());
        let missing = self.get(&missing).cookie(&person.cookie).send().await;
        missing.expect_problem(404, "not_found");
    }
}

/// Fails to take an invoice so many times.
#[derive(Debug)]
struct Failing(AtomicUsize);

#[async_trait]
impl Collection for Failing {
    fn mode(&self) -> CollectionMode {
        CollectionMode::Stripe
    }

    async fn can_charge(
        &self,
        _: &mut EitherTx<'_>,
        _: OrganizationId,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn invoice_final(&self, _: &mut EitherTx<'_>, _: &InvoiceRow) -> Result<(), StoreError> {
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => Err(StoreError::Corrupt("it was made to fail".into())),
            Err(_) => Ok(()),
        }
    }

    async fn invoice_void(&self, _: &mut EitherTx<'_>, _: &InvoiceRow) -> Result<(), StoreError> {
        Ok(())
    }

    async fn credit_note(
        &self,
        _: &mut EitherTx<'_>,
        _: &InvoiceRow,
        _: CreditNoteId,
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_closing_that_is_cut_off_leaves_nothing_and_is_done_again() {
    let mut cloud = TestCloud::new().await;
    cloud.platform.collection = Some(Arc::new(Failing(AtomicUsize::new(2))));
    let cloud = cloud.with_archives_from_now_on();
    let ada = cloud.person("ada@example.com").await;
    cloud.move_to(DECEMBER);
    for _ in 0..2 {
        assert_eq!(cloud.work().await, 0);
        assert_eq!(cloud.invoices(&ada).await.len(), 0);
    }
    assert_eq!(cloud.work().await, 1);
    let closing = cloud.closing(&ada, "2026-11").await;
    assert_eq!(closing["number"], "INV-2026-000001");
}

#[tokio::test]
async fn a_smaller_plan_begins_with_the_month_and_its_fee_is_invoiced() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-growth").await.expect(201);
    cloud.plan_change(&ada, "pro-starter").await.expect(201);
    cloud.move_to(DECEMBER);
    while cloud.work().await > 0 {}
    assert_eq!(
        cloud.billing_of(&ada, "billing").await["plan_id"],
        "pro-starter"
    );
    assert_eq!(cloud.closing(&ada, "2026-11").await["total_cents"], 2900);
    // One change invoice, of Growth; the way down costs nothing more.
    assert_eq!(cloud.invoices(&ada).await.len(), 2);
    let scheduled = cloud.plan_change(&ada, "free").await;
    scheduled.expect(201);
    for name in ["a", "b", "c", "d"] {
        cloud.created(&ada, name).await;
    }
    cloud.move_to(JANUARY);
    while cloud.work().await > 0 {}
    let ada = cloud.again(&ada).await;
    // It does not fit any more, and she is told.
    assert_eq!(
        cloud.billing_of(&ada, "billing").await["plan_id"],
        "pro-starter"
    );
    let mails = cloud.mails("ada@example.com").await;
    assert!(
        mails
            .iter()
            .any(|mail| mail.contains("4 databases, at most 3")),
        "{mails:?}"
    );
}

#[tokio::test]
async fn who_does_not_pay_is_reminded_suspended_and_comes_back_by_paying() {
    let cloud = TestCloud::new().await;
    let runtime = FakeRuntime::new();
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-starter").await.expect(201);
    let running = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "a").await;
    let stopped = cloud.running(&ada, "b").await;
    cloud
        .act(&ada, &format!("/v1/databases/{stopped}/suspend"))
        .await
        .expect(200);
    cloud.in_state(&ada, stopped, "suspended").await;
    let due = START + Duration::days(14);
    let mut said = 0;
    for (days, overdue_mails, standing) in [
        (0, 1, "overdue"),
        (3, 2, "overdue"),
        (7, 3, "overdue"),
        (14, 3, "suspended"),
    ] {
        cloud.move_to((due + Duration::days(days) + Duration::hours(1)).max(cloud.clock.now()));
        while cloud.work().await > 0 {}
        let mails = cloud.mails("ada@example.com").await;
        said = mails
            .iter()
            .filter(|mail| mail.contains("INV-2026-000001 is overdue: $"))
            .count();
        assert_eq!(said, overdue_mails, "after {days} days");
        assert_eq!(
            cloud.billing_of(&ada, "billing").await["standing"],
            standing,
            "after {days} days"
        );
    }
    assert_eq!(said, 3);
    cloud.in_state(&ada, id, "suspended").await;
    let refused = cloud.act(&ada, &format!("/v1/databases/{id}/resume")).await;
    refused.expect_problem(409, "conflict");
    let refused = cloud.create(&ada, &json!({ "name": "c" })).await;
    refused.expect_problem(409, "conflict");
    let mails = cloud.mails("ada@example.com").await;
    assert!(
        mails
            .iter()
            .any(|mail| mail.contains("Nothing of them is deleted")),
        "{mails:?}"
    );
    for (number, invoice) in cloud.invoices(&ada).await.iter().enumerate() {
        if invoice["outstanding_cents"].as_i64().expect("cents") > 0 {
            cloud
                .pay(&ada, invoice, &format!("transfer-{number}"))
                .await;
        }
    }
    assert_eq!(cloud.billing_of(&ada, "billing").await["standing"], "good");
    cloud.in_state(&ada, id, "running").await;
    cloud.in_state(&ada, stopped, "suspended").await;
    drop(running);
}

#[tokio::test]
async fn a_credit_note_takes_back_what_was_too_much() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let changed = cloud.plan_change(&ada, "pro-starter").await;
    let invoice = changed.body["invoice"].clone();
    let id: InvoiceId = serde_json::from_value(invoice["id"].clone()).expect("an ID");
    let credit = async |cents: i64| {
        let mut tx = cloud.platform.store.region().await.expect("a scope");
        let note = billing::credit_note(
            &cloud.platform,
            &mut EitherTx::Region(&mut tx),
            ada.organization,
            id,
            vec![CreditedLine {
                line: 0,
                amount: Cents::new(cents),
            }],
            "An outage",
            "system",
            cloud.clock.now(),
        )
        .await;
        tx.commit().await.expect("committed");
        note
    };
    let note = credit(225).await.expect("issued");
    assert_eq!(note.number.to_string(), "CN-2026-000001");
    let left = cloud.invoices(&ada).await[0].clone();
    assert_eq!(left["outstanding_cents"], 500);
    assert_eq!(left["state"], "final");
    assert!(credit(501).await.is_err(), "more than is left");
    credit(500).await.expect("issued");
    assert_eq!(cloud.invoices(&ada).await[0]["state"], "paid");
    let path = format!("/v1/invoices/{id}/credit-notes");
    let notes = cloud.get(&path).cookie(&ada.cookie).send().await;
    notes.expect(200);
    assert_eq!(notes.body["items"][1]["number"], "CN-2026-000002");
    assert_eq!(
        notes.body["items"][1]["lines"],
        json!([{ "position": 0, "amount_cents": 500 }])
    );
}

#[tokio::test]
async fn the_platforms_owner_says_what_was_paid_how_one_is_taxed_and_what_was_agreed() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let platform = &cloud.platform;
    let organization = ada.organization;
    let changed = cloud.plan_change(&ada, "pro-starter").await;
    let number = changed.text("/invoice/number");
    let paid = billing::owner_paid(platform, &number, "transfer-1", None).await;
    assert_eq!(paid.expect("booked").outstanding_cents, Cents::ZERO);
    let twice = billing::owner_paid(platform, &number, "transfer-1", None).await;
    assert_eq!(twice.expect("known").outstanding_cents, Cents::ZERO);
    let again = billing::owner_paid(platform, &number, "transfer-2", None).await;
    assert!(again.is_err(), "nothing is outstanding");
    let unknown = billing::owner_paid(platform, "INV-2026-999999", "x", None).await;
    assert!(unknown.is_err());
    let tax = serde_json::from_value(json!({ "kind": "rate", "name": "VAT", "rate": 190_000 }));
    let tax = Some(tax.expect("a tax"));
    let told = billing::owner_customer(platform, organization, tax, None).await;
    told.expect("written");
    let amount = Cents::new(1000);
    let granted = billing::owner_credit(platform, organization, amount, "Welcome", None).await;
    granted.expect("granted");
    let agreement = json!({ "fee": 100_000, "minimum": 150_000, "prices": { "compute": "0.04" } });
    let agreement = serde_json::from_value(agreement).expect("an agreement");
    let agreed = billing::owner_agree(platform, organization, "enterprise", &agreement).await;
    let invoice = agreed.expect("agreed").expect("an invoice");
    // A quarter of the month is left: 250.00 less 7.25, less the credit, and 19 % of that.
    assert_eq!(invoice.net_cents, Cents::new(25_000 - 725 - 1000));
    assert_eq!(invoice.tax_cents, Cents::new(4422));
    let nobody = billing::owner_agree(platform, organization, "pro-gold", &agreement).await;
    assert!(nobody.is_err());
    let no_fee = lumadb_billing::rating::Agreement::default();
    let no_fee = billing::owner_agree(platform, organization, "enterprise", &no_fee).await;
    assert!(no_fee.is_err(), "a plan without a fee needs one");
    let void = billing::owner_void(platform, &invoice.number).await;
    void.expect("void");
    cloud.move_to(DECEMBER);
    while cloud.work().await > 0 {}
    let closing = cloud.closing(&ada, "2026-11").await;
    let kinds: Vec<_> = closing["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|l| &l["kind"])
        .collect();
    assert!(kinds.contains(&&json!("minimum")), "{kinds:?}");
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
