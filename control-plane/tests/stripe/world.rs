//! A control plane with an account at a Stripe of its own.

use crate::support::{Person, START, TestCloud};
use lumadb_billing::period::Period;
use lumadb_billing::rating::{Line, LineKind};
use lumadb_billing::stripe::Stripe;
use lumadb_contract::money::Cents;
use lumadb_contract::secret::Secret;
use lumadb_control_plane::app::billing::{self, InvoiceKind, NewInvoice};
use lumadb_control_plane::collect::{Account, Collector, StripeCollection, send_due};
use lumadb_control_plane::http::{ApiState, router};
use lumadb_control_plane::store::EitherTx;
use lumadb_control_plane::store::billing::invoice::{self, InvoiceRow};
use lumadb_stripe_fake::faults::Faults;
use lumadb_stripe_fake::{Clock, Config, Fake, serve};
use serde_json::json;
use std::sync::Arc;
use time::Duration;
use tokio::net::TcpListener;

pub(crate) const WEBHOOK_SECRET: &str = "whsec_tests";

pub(crate) struct World {
    pub(crate) cloud: TestCloud,
    pub(crate) fake: Fake,
    pub(crate) collector: Collector,
    fake_clock: Clock,
    pub(crate) address: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let mut cloud = TestCloud::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let api = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let hook = format!(
            "http://{}/v1/stripe/webhook",
            api.local_addr().expect("an address")
        );
        let fake_clock = Clock::manual(START.unix_timestamp());
        let fake = Fake::open(Config {
            folder: None,
            secret_key: Secret::new("sk_test_tests"),
            webhook_secret: Secret::new(WEBHOOK_SECRET),
            webhook_url: Some(hook),
            public_url: address.clone(),
            clock: fake_clock.clone(),
            faults: Faults::default(),
        })
        .expect("a server");
        tokio::spawn(serve(fake.clone(), listener, std::future::pending()));
        let secret = Secret::new("sk_test_tests");
        let account = Account {
            stripe: Stripe::new(&secret, Some(&address)).expect("a client"),
            webhook_secret: Some(Secret::new(WEBHOOK_SECRET)),
        };
        cloud.platform.stripe = Some(account);
        let collection = StripeCollection::new(cloud.clock.clone());
        cloud.platform.collection = Some(Arc::new(collection));
        cloud.router = router(&ApiState::new(cloud.platform.clone()));
        let serving = cloud.router.clone();
        tokio::spawn(async move { axum::serve(api, serving).await });
        let collector = Collector::of(&cloud.platform).expect("an account");
        Self {
            cloud,
            fake,
            collector,
            fake_clock,
            address,
        }
    }

    /// Both clocks.
    pub(crate) fn advance(&self, by: Duration) {
        self.cloud.clock.advance(by);
        self.fake_clock.advance(by.whole_seconds());
    }

    /// Somebody with this card, saved on the page.
    pub(crate) async fn person(&self, card: &str) -> Person {
        let person = self.cloud.person("ada@example.com").await;
        self.card_save(&person, card).await;
        person
    }

    /// Opens the page and types a card in; the page's answer.
    pub(crate) async fn card_type(&self, person: &Person, card: &str) -> reply::Reply {
        let path = format!("/v1/organizations/{}/card", person.organization);
        let call = self.cloud.post(&path).cookie(&person.cookie);
        let page = call.json(&json!({})).send().await;
        page.expect(201);
        reply::post(&page.text("/url"), &format!("number={card}")).await
    }

    pub(crate) async fn card_save(&self, person: &Person, card: &str) {
        let before = self.last4(person).await;
        let reply = self.card_type(person, card).await;
        assert_eq!(reply.status, 303, "{}", reply.body);
        self.until(async || {
            let now = self.last4(person).await;
            now.is_some() && (now != before || now.as_deref() == card.get(12..))
        })
        .await;
    }

    /// The card that the API tells.
    pub(crate) async fn last4(&self, person: &Person) -> Option<String> {
        let path = format!("/v1/organizations/{}/card", person.organization);
        let shown = self.cloud.get(&path).cookie(&person.cookie).send().await;
        shown.expect(200);
        shown.body["card"]["last4"].as_str().map(str::to_owned)
    }

    /// Works until something is so.
    pub(crate) async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let mut rounds = 0;
        while !is_so().await {
            assert!(rounds < 2000, "it never was so");
            rounds += 1;
            send_due(&self.collector).await.expect("sent");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// An invoice of one line.
    pub(crate) async fn issue(&self, person: &Person, cents: i64) -> InvoiceRow {
        let period = Period::of(START).expect("a period");
        let line = Line {
            kind: LineKind::Fee,
            plan: "pro-starter".parse().expect("a plan"),
            book: serde_json::from_value(json!("2026-11")).expect("a version"),
            from: period.start(),
            to: period.end(),
            corrects: None,
            amount: Cents::new(cents),
            usage: None,
        };
        let mut tx = self.cloud.platform.store.region().await.expect("a scope");
        let new = NewInvoice {
            organization: person.organization,
            kind: InvoiceKind::Change,
            period,
            lines: vec![line],
            at: self.cloud.clock.now(),
        };
        let mut either = EitherTx::Region(&mut tx);
        let issued = billing::issue(&self.cloud.platform, &mut either, new).await;
        tx.commit().await.expect("committed");
        issued.expect("issued")
    }

    pub(crate) async fn invoice(&self, row: &InvoiceRow) -> InvoiceRow {
        let mut tx = self.cloud.platform.store.region().await.expect("a scope");
        let mut either = EitherTx::Region(&mut tx);
        let found = invoice::find(&mut either, row.organization_id, row.id).await;
        found.expect("read").expect("the invoice")
    }

    pub(crate) async fn is(&self, row: &InvoiceRow, state: billing::InvoiceState) -> bool {
        self.invoice(row).await.state == state
    }

    /// Cents that the ledger has received.
    pub(crate) async fn cash(&self) -> i64 {
        sqlx::query_scalar("select coalesce(sum(cash_cents), 0)::bigint from ledger_entries")
            .fetch_one(&self.cloud.admin)
            .await
            .expect("the ledger")
    }

    /// Cents that moved at Stripe, without its fees.
    pub(crate) fn moved(&self) -> i64 {
        let moved = self.fake.objects("balance_transaction");
        moved
            .iter()
            .map(|moved| moved["amount"].as_i64().expect("cents"))
            .sum()
    }
}

/// Requests to the pages.
pub(crate) mod reply {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    pub(crate) struct Reply {
        pub(crate) status: u16,
        pub(crate) body: String,
    }

    pub(crate) async fn post(url: &str, body: &str) -> Reply {
        send(url, body, None).await
    }

    pub(crate) async fn send(url: &str, body: &str, signature: Option<&str>) -> Reply {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let mut request = http::Request::builder().method("POST").uri(url);
        if let Some(signature) = signature {
            request = request.header("stripe-signature", signature);
        }
        let request = request
            .body(Full::new(body.to_owned().into()))
            .expect("a request");
        let answer = client.request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        Reply {
            status,
            body: String::from_utf8(body.to_vec()).expect("text"),
        }
    }
}
