//! Months that end: one invoice each, equal to a second calculation; what is late, what is not paid.

mod calculated;
mod closing;
mod owed;

use crate::support::{PASSWORD, Person, TestCloud};
use lumadb_contract::id::{DatabaseId, IncarnationId, InvoiceId};
use lumadb_contract::money::Cents;
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::app::billing;
use lumadb_control_plane::runtime::ComputeSpan;
use lumadb_control_plane::store::EitherTx;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;
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
