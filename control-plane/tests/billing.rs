//! Who pays, what is sold, billing's clock, and an invoice from its number to its payment.

use crate::support::{Person, START, TestCloud};
use lumadb_billing::period::Period;
use lumadb_billing::rating::{Line, LineKind};
use lumadb_contract::id::{CreditId, InvoiceId};
use lumadb_contract::money::Cents;
use lumadb_control_plane::app::billing::{self, InvoiceKind, InvoiceState, NewInvoice};
use lumadb_control_plane::app::{Limits, Settings, catalog};
use lumadb_control_plane::store::EitherTx;
use lumadb_control_plane::store::billing::credit::{self, NewCredit};
use lumadb_control_plane::store::billing::invoice::InvoiceRow;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use time::Duration;

fn fee(cents: i64) -> Line {
    let period = Period::of(START).expect("a period");
    Line {
        kind: LineKind::Fee,
        plan: "pro-starter".parse().expect("a plan"),
        book: serde_json::from_value(json!("2026-11")).expect("a version"),
        from: period.start(),
        to: period.end(),
        corrects: None,
        amount: Cents::new(cents),
        usage: None,
    }
}

impl TestCloud {
    /// An invoice of one line.
    pub(crate) async fn issued(&self, person: &Person, cents: i64) -> InvoiceRow {
        let mut tx = self.platform.store.region().await.expect("a scope");
        let new = NewInvoice {
            organization: person.organization,
            kind: InvoiceKind::Change,
            period: Period::of(START).expect("a period"),
            lines: vec![fee(cents)],
            at: self.clock.now(),
        };
        let issued = billing::issue(&self.platform, &mut EitherTx::Region(&mut tx), new).await;
        tx.commit().await.expect("committed");
        issued.expect("issued")
    }

    async fn paid(&self, invoice: &InvoiceRow, reference: &str, cents: i64) -> InvoiceRow {
        let mut tx = self.platform.store.region().await.expect("a scope");
        let paid = billing::payment(
            &mut EitherTx::Region(&mut tx),
            invoice.organization_id,
            invoice.id,
            reference,
            Cents::new(cents),
            self.clock.now(),
        )
        .await;
        tx.commit().await.expect("committed");
        paid.expect("booked")
    }

    async fn refunded(&self, invoice: &InvoiceRow, reference: &str, cents: i64) -> InvoiceRow {
        let mut tx = self.platform.store.region().await.expect("a scope");
        let back = billing::refund(
            &mut EitherTx::Region(&mut tx),
            invoice.organization_id,
            invoice.id,
            reference,
            Cents::new(cents),
            self.clock.now(),
        )
        .await;
        tx.commit().await.expect("committed");
        back.expect("booked")
    }

    async fn account(&self, person: &Person) -> Value {
        let path = format!("/v1/organizations/{}/billing", person.organization);
        let answer = self.get(&path).cookie(&person.cookie).send().await;
        answer.expect(200);
        answer.body
    }

    async fn plans_as_they_are(&self) -> Vec<Value> {
        sqlx::query_scalar("select to_jsonb(p) - 'book' from plans p order by position")
            .fetch_all(&self.admin)
            .await
            .expect("plans")
    }
}

#[tokio::test]
async fn plans_say_what_the_price_book_says() {
    let cloud = TestCloud::new().await;
    let migrated = cloud.plans_as_they_are().await;
    catalog::plans_derive(&cloud.platform)
        .await
        .expect("derived");
    assert_eq!(cloud.plans_as_they_are().await, migrated);
    // A row is written once for each version, so that what an operator changes stays.
    let change = "update plans set databases_max = 7 where id = 'free'";
    sqlx::query(change)
        .execute(&cloud.admin)
        .await
        .expect("set");
    catalog::plans_derive(&cloud.platform)
        .await
        .expect("derived");
    assert_eq!(cloud.plans_as_they_are().await[0]["databases_max"], 7);
    // Another version writes every row.
    let change = "update plans set book = '2026-01', archive_lag_ms = 1";
    sqlx::query(change)
        .execute(&cloud.admin)
        .await
        .expect("set");
    catalog::plans_derive(&cloud.platform)
        .await
        .expect("derived");
    assert_eq!(cloud.plans_as_they_are().await, migrated);
}

#[tokio::test]
async fn the_catalogue_tells_prices_fees_and_amounts() {
    let cloud = TestCloud::new().await;
    let plans = cloud.get("/v1/plans").send().await;
    plans.expect(200);
    assert_eq!(plans.body["book"], "2026-11");
    assert_eq!(
        plans.body["prices"][0],
        json!({ "meter": "storage", "sold_in": "GB-month", "price": "0.10" })
    );
    let starter = &plans.body["items"][2];
    assert_eq!(starter["id"], "pro-starter");
    assert_eq!(starter["fee_cents"], 2900);
    assert_eq!(starter["usage"], "included");
    let requests = json!({ "meter": "requests", "amount": 10_000_000, "per": "day" });
    assert_eq!(starter["included"][2], requests);
    assert_eq!(plans.body["items"][5]["fee_cents"], Value::Null);
}

#[tokio::test]
async fn what_an_organization_pays_as_is_read_and_changed() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let account = cloud.account(&ada).await;
    assert_eq!(account["plan_id"], "free");
    assert_eq!(account["collection"], "manual");
    assert_eq!(account["standing"], "good");
    assert_eq!(account["tax"], json!({ "kind": "none" }));
    let path = format!("/v1/organizations/{}/billing", ada.organization);
    let body = json!({
        "name": " Analytical Engines ", "email": "bills@example.com",
        "address": { "line1": "1 Main Street", "country": "GB" },
        "spend_cap_cents": 5000, "budgets_cents": [4000, 2000, 4000],
    });
    let call = cloud.patch(&path).cookie(&ada.cookie).json(&body);
    let changed = call.header("if-match", "\"1\"").send().await;
    changed.expect(200);
    assert_eq!(changed.body["name"], "Analytical Engines");
    assert_eq!(changed.body["budgets_cents"], json!([2000, 4000]));
    assert_eq!(changed.header("etag"), "\"2\"");
    let cleared = json!({ "spend_cap_cents": null, "email": null });
    let call = cloud.patch(&path).cookie(&ada.cookie).json(&cleared);
    let cleared = call.send().await;
    assert_eq!(cleared.body["spend_cap_cents"], Value::Null);
    assert_eq!(cleared.body["address"]["country"], "GB");
    for bad in [
        json!({ "spend_cap_cents": -1 }),
        json!({ "budgets_cents": (0..11).collect::<Vec<_>>() }),
        json!({ "email": "nobody" }),
        json!({ "email": "a@b.c, d@e.f" }),
        json!({ "address": { "country": "Germany" } }),
        json!({ "name": "" }),
        json!({ "tax": { "kind": "none" } }),
        json!({ "plan_id": "enterprise" }),
    ] {
        let call = cloud.patch(&path).cookie(&ada.cookie).json(&bad);
        call.send().await.expect_problem(400, "invalid_request");
    }
    let stale = cloud.patch(&path).cookie(&ada.cookie);
    let stale = stale.header("if-match", "\"1\"").json(&body).send().await;
    stale.expect_problem(412, "precondition_failed");
    let eve = cloud.person("eve@example.com").await;
    let foreign = cloud.get(&path).cookie(&eve.cookie).send().await;
    foreign.expect_problem(404, "not_found");
}

#[tokio::test]
async fn billings_clock_moves_only_where_that_is_allowed() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let ahead = json!({ "seconds": 86400 });
    let call = cloud.post("/v1/billing-clock").cookie(&ada.cookie);
    let refused = call.json(&ahead).send().await;
    refused.expect_problem(403, "forbidden");

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
    for days in [1, 2] {
        let call = cloud.post("/v1/billing-clock").cookie(&ada.cookie);
        let moved = call.json(&ahead).send().await;
        moved.expect(200);
        assert_eq!(moved.body["ahead_seconds"], days * 86400);
    }
    for bad in [0, 6_048_001] {
        let call = cloud.post("/v1/billing-clock").cookie(&ada.cookie);
        let bad = call.json(&json!({ "seconds": bad })).send().await;
        bad.expect_problem(400, "invalid_request");
    }
    let clock = cloud
        .get("/v1/billing-clock")
        .cookie(&ada.cookie)
        .send()
        .await;
    assert_eq!(clock.text("/now"), "2026-11-25T12:00:00Z");
    // Who signs up now begins in that time.
    let eve = cloud.person("eve@example.com").await;
    let from: time::OffsetDateTime =
        sqlx::query_scalar("select starts_at from subscriptions where organization_id = $1")
            .bind(eve.organization.uuid())
            .fetch_one(&cloud.admin)
            .await
            .expect("a subscription");
    assert_eq!(from, START + Duration::days(2));
}

#[tokio::test]
async fn an_invoice_is_numbered_listed_mailed_and_paid_once() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let invoice = cloud.issued(&ada, 2900).await;
    assert_eq!(invoice.number, "INV-2026-000001");
    assert_eq!(invoice.state, InvoiceState::Final);
    let next = cloud.issued(&ada, 100).await;
    assert_eq!(next.number, "INV-2026-000002");
    let path = format!("/v1/organizations/{}/invoices", ada.organization);
    let list = cloud.get(&path).cookie(&ada.cookie).send().await;
    list.expect(200);
    assert_eq!(list.text("/items/0/number"), "INV-2026-000002");
    assert_eq!(list.text("/items/1/period"), "2026-11");
    let path = format!("/v1/invoices/{}", invoice.id);
    let found = cloud.get(&path).cookie(&ada.cookie).send().await;
    found.expect(200);
    assert_eq!(found.body["lines"][0]["kind"], "fee");
    assert_eq!(found.body["lines"][0]["amount_cents"], 2900);
    assert_eq!(found.body["customer_name"], "Ada");
    let mail = cloud.mails(&ada.email).await;
    assert!(
        mail[1].contains("INV-2026-000001 over $29.00"),
        "{}",
        mail[1]
    );
    assert!(mail[1].contains("by 2026-12-07"), "{}", mail[1]);

    let part = cloud.paid(&invoice, "transfer-1", 1900).await;
    assert_eq!(part.state, InvoiceState::Final);
    let again = cloud.paid(&invoice, "transfer-1", 1900).await;
    assert_eq!(again.outstanding_cents, Cents::new(1000));
    let rest = cloud.paid(&invoice, "transfer-2", 1000).await;
    assert_eq!(rest.state, InvoiceState::Paid);
    let eve = cloud.person("eve@example.com").await;
    let foreign = cloud.get(&path).cookie(&eve.cookie).send().await;
    foreign.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_payment_with_a_known_reference_and_another_amount_is_refused() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let invoice = cloud.issued(&ada, 2900).await;
    cloud.paid(&invoice, "transfer-1", 100).await;
    let mut tx = cloud.platform.store.region().await.expect("a scope");
    let refused = billing::payment(
        &mut EitherTx::Region(&mut tx),
        ada.organization,
        invoice.id,
        "transfer-1",
        Cents::new(200),
        cloud.clock.now(),
    )
    .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn money_that_was_taken_back_is_owed_again() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let invoice = cloud.issued(&ada, 2900).await;
    cloud.paid(&invoice, "charge-1", 2900).await;
    let disputed = cloud.refunded(&invoice, "dispute-1", 2900).await;
    assert_eq!(disputed.state, InvoiceState::Overdue);
    assert_eq!(cloud.account(&ada).await["standing"], "overdue");
    let paid = cloud.paid(&invoice, "charge-2", 2900).await;
    assert_eq!(paid.state, InvoiceState::Paid);
    assert_eq!(cloud.account(&ada).await["standing"], "good");
}

#[tokio::test]
async fn a_void_invoice_keeps_its_number_and_gives_its_credits_back() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let mut tx = cloud.platform.store.region().await.expect("a scope");
    let granted = NewCredit {
        id: CreditId::from_uuid(cloud.clock.new_uuid()),
        organization: ada.organization,
        amount: Cents::new(1000),
        reason: "Welcome",
        granted_at: cloud.clock.now(),
        granted_by: "system",
        expires_at: None,
    };
    credit::insert(&mut tx, &granted).await.expect("granted");
    tx.commit().await.expect("committed");
    let invoice = cloud.issued(&ada, 2900).await;
    assert_eq!(invoice.total_cents, Cents::new(1900));
    let mut tx = cloud.platform.store.region().await.expect("a scope");
    for _ in 0..2 {
        let either = &mut EitherTx::Region(&mut tx);
        let at = cloud.clock.now();
        let void = billing::void(&cloud.platform, either, ada.organization, invoice.id, at).await;
        assert_eq!(void.expect("void").state, InvoiceState::Void);
    }
    tx.commit().await.expect("committed");
    let next = cloud.issued(&ada, 2900).await;
    assert_eq!(next.number, "INV-2026-000002");
    assert_eq!(next.credits_cents, Cents::new(1000));
    let balance: i64 =
        sqlx::query_scalar("select sum(receivable_cents)::bigint from ledger_entries")
            .fetch_one(&cloud.admin)
            .await
            .expect("a sum");
    assert_eq!(balance, 1900);
}

#[tokio::test]
async fn what_we_owe_pays_for_what_comes_next() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let less_than_nothing = cloud.issued(&ada, -3000).await;
    assert_eq!(less_than_nothing.state, InvoiceState::Paid);
    let covered = cloud.issued(&ada, 2900).await;
    assert_eq!(covered.state, InvoiceState::Paid);
    let partly = cloud.issued(&ada, 2900).await;
    assert_eq!(partly.state, InvoiceState::Final);
    assert_eq!(partly.outstanding_cents, Cents::new(2800));
    let cash: i64 = sqlx::query_scalar("select sum(cash_cents)::bigint from ledger_entries")
        .fetch_one(&cloud.admin)
        .await
        .expect("a sum");
    assert_eq!(cash, 0, "no money moved");
}

#[tokio::test]
async fn invoices_of_many_at_once_have_numbers_without_a_gap() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let both = [&ada, &eve, &ada, &eve, &ada, &eve, &ada, &eve];
    let issued = both.map(|person| cloud.issued(person, 100));
    let mut numbers: Vec<String> = futures::future::join_all(issued)
        .await
        .into_iter()
        .map(|invoice| invoice.number)
        .collect();
    numbers.sort_unstable();
    let expected: Vec<String> = (1..=8).map(|n| format!("INV-2026-{n:06}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn what_is_final_can_be_added_to_and_not_changed() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.issued(&ada, 2900).await;
    for table in [
        "ledger_entries",
        "invoice_lines",
        "credit_notes",
        "credit_uses",
    ] {
        for statement in [
            format!("update {table} set organization_id = null"),
            format!("delete from {table}"),
        ] {
            for scope in ["lumadb_tenant", "lumadb_identity", "lumadb_region"] {
                let mut tx = cloud.app.begin().await.expect("a transaction");
                sqlx::query(
                    "select set_config('role', $1, true),
                            set_config('lumadb.organization_id', $2, true)",
                )
                .bind(scope)
                .bind(ada.organization.uuid().to_string())
                .execute(&mut *tx)
                .await
                .expect("a scope");
                let refused = sqlx::query(AssertSqlSafe(statement.clone()))
                    .execute(&mut *tx)
                    .await;
                let error = refused.expect_err(scope).to_string();
                assert!(error.contains("permission denied"), "{scope}: {error}");
            }
        }
    }
    let unbalanced = "insert into ledger_entries (key, organization_id, invoice_id, at, cash_cents)
                      select 'planted', organization_id, id, now(), 1 from invoices";
    assert!(sqlx::query(unbalanced).execute(&cloud.admin).await.is_err());
}

#[tokio::test]
async fn another_tenants_billing_is_out_of_reach() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let invoice = cloud.issued(&ada, 2900).await;
    let mut tx = cloud
        .platform
        .store
        .tenant(eve.organization)
        .await
        .expect("a scope");
    let mut either = EitherTx::Tenant(&mut tx);
    let id: InvoiceId = invoice.id;
    // Even where Ada's organization is named.
    let found = billing::invoice_read(&mut either, ada.organization, id).await;
    assert!(found.expect("asked").is_none());
    let at = cloud.clock.now();
    let paid = billing::payment(&mut either, ada.organization, id, "x", Cents::new(1), at).await;
    assert!(paid.is_err());
}
