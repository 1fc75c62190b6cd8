//! Asking for imports, and what is kept of them. Tests across processes do the imports.

use crate::support::{FakeRuntime, Loop, Person, TestCloud};
use lumadb_contract::id::DatabaseId;
use serde_json::{Value, json};

const SOURCE: &str = "postgres://app:hunter2@db.example.com:6000/shop?sslmode=verify-full";

struct Shop {
    cloud: TestCloud,
    ada: Person,
    id: DatabaseId,
    _loop: Loop,
}

impl Shop {
    async fn new() -> Self {
        let cloud = TestCloud::new().await;
        let ada = cloud.person("ada@example.com").await;
        let running = cloud.start_loop(&FakeRuntime::new());
        let id = cloud.running(&ada, "shop").await;
        Self {
            cloud,
            ada,
            id,
            _loop: running,
        }
    }

    fn path(&self) -> String {
        format!("/v1/databases/{}/imports", self.id)
    }

    async fn sealed(&self) -> i64 {
        sqlx::query_scalar("select count(*) from imports where source_sealed is not null")
            .fetch_one(&self.cloud.admin)
            .await
            .expect("counted")
    }
}

#[tokio::test]
async fn an_import_is_asked_for_once_and_its_password_is_wiped_when_it_ends() {
    let shop = Shop::new().await;
    let (cloud, cookie) = (&shop.cloud, &shop.ada.cookie);
    let body = json!({ "source": SOURCE, "logical_database": "main" });
    let ask = || cloud.post(&shop.path()).cookie(cookie).json(&body);
    let made = ask().header("idempotency-key", "one").send().await;
    made.expect(201);
    let again = ask().header("idempotency-key", "one").send().await;
    again.expect(201);
    assert_eq!(again.text("/id"), made.text("/id"));
    assert_eq!(made.text("/source/host"), "db.example.com");
    assert_eq!(made.text("/state"), "pending");
    assert!(!made.raw.contains("hunter2"), "{}", made.raw);
    let plain = b"hunter2";
    let sealed: Vec<u8> = sqlx::query_scalar("select source_sealed from imports")
        .fetch_one(&cloud.admin)
        .await
        .expect("sealed");
    assert!(!sealed.windows(plain.len()).any(|part| part == plain));
    ask().send().await.expect_problem(409, "conflict");

    let import = format!("/v1/imports/{}", made.text("/id"));
    let cancel = cloud.post(&format!("{import}/cancel")).cookie(cookie);
    let cancelled = cancel.send().await;
    cancelled.expect(200);
    assert_eq!(cancelled.text("/state"), "cancelled");
    assert_eq!(shop.sealed().await, 0);
    let late = cloud.post(&format!("{import}/cancel")).cookie(cookie);
    late.send().await.expect_problem(409, "conflict");
    let listed = cloud.get(&shop.path()).cookie(cookie).send().await;
    listed.expect(200);
    assert_eq!(listed.text("/items/0/state"), "cancelled");
    let log: Vec<String> = sqlx::query_scalar(
        "select action from audit_events where action like 'import.%' order by id",
    )
    .fetch_all(&cloud.admin)
    .await
    .expect("the log");
    assert_eq!(log, ["import.create", "import.cancel"]);

    let eve = cloud.person("eve@example.com").await;
    let foreign = cloud.get(&import).cookie(&eve.cookie).send().await;
    foreign.expect_problem(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_imported_from_or_into_is_refused_by_field() {
    let shop = Shop::new().await;
    let refused = async |body: Value, field: &str| {
        let call = shop.cloud.post(&shop.path()).cookie(&shop.ada.cookie);
        let answer = call.json(&body).send().await;
        answer.expect_problem(400, "invalid_request");
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.raw);
    };
    let main = "main";
    refused(
        json!({ "source": "mysql://a@b/c", "logical_database": main }),
        "source",
    )
    .await;
    refused(
        json!({ "source": "postgres://a@b/c?sslmode=prefer", "logical_database": main }),
        "source",
    )
    .await;
    refused(
        json!({ "source": SOURCE, "logical_database": "other" }),
        "logical_database",
    )
    .await;
    refused(
        json!({ "source": SOURCE, "logical_database": main, "ca_certificate_pem": "none" }),
        "ca_certificate_pem",
    )
    .await;
    assert_eq!(shop.sealed().await, 0);
}

#[tokio::test]
async fn one_that_follows_switches_over_when_asked_and_cannot_be_cancelled_after() {
    let shop = Shop::new().await;
    let (cloud, cookie) = (&shop.cloud, &shop.ada.cookie);
    let body = json!({ "source": SOURCE, "logical_database": "main", "continuous": true });
    let made = cloud.post(&shop.path()).cookie(cookie).json(&body);
    let made = made.send().await;
    made.expect(201);
    assert_eq!(made.body["continuous"], true, "{}", made.raw);
    assert!(made.body["lag_bytes"].is_null(), "{}", made.raw);
    let import = format!("/v1/imports/{}", made.text("/id"));
    let ask = async |verb: &str| {
        let path = format!("{import}/{verb}");
        cloud.post(&path).cookie(cookie).send().await
    };
    let is_now = async |state: &str| {
        let sql = "update imports set state = $1, attempt = 1, lag_bytes = 7,
                          last_change_at = '2026-11-23 12:00+00'";
        let done = sqlx::query(sql).bind(state).execute(&cloud.admin).await;
        done.expect("the state is set");
    };
    for early in ["pending", "copying"] {
        is_now(early).await;
        ask("complete").await.expect_problem(409, "conflict");
    }
    is_now("following").await;
    let asked = ask("complete").await;
    asked.expect(200);
    assert_eq!(asked.body["is_completing"], true, "{}", asked.raw);
    assert_eq!(asked.body["lag_bytes"], 7, "{}", asked.raw);
    assert_eq!(asked.text("/last_change_at"), "2026-11-23T12:00:00Z");
    ask("complete").await.expect(200);

    is_now("validating").await;
    ask("cancel").await.expect_problem(409, "conflict");
    ask("complete").await.expect_problem(409, "conflict");
    let cancelled: bool = sqlx::query_scalar("select cancel_requested_at is not null from imports")
        .fetch_one(&cloud.admin)
        .await
        .expect("read");
    assert!(!cancelled);
}
