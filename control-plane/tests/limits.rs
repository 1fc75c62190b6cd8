//! Limits of an organization with two databases: who gets which part, and who is told.

use crate::support::{Person, START, TestCloud};
use lumadb_contract::allowance::{Allowance, AllowanceRequest, MeterAllowance, MeterRequest};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::meter::Meter;
use lumadb_contract::usage::{UsageCounters, UsageGauges, UsageSample};
use lumadb_control_plane::app::limits::Quotas;
use lumadb_control_plane::app::{Limits, Settings};
use lumadb_control_plane::runtime::Reports;
use std::cell::Cell;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A node as far as it asks for room.
pub(crate) struct Node {
    pub(crate) database: DatabaseId,
    incarnation: IncarnationId,
    pub(crate) requests: u64,
    ceiling: u64,
    sequence: u64,
}

impl Node {
    fn sample(
        &self,
        sequence: u64,
        taken_at: OffsetDateTime,
        requests: u64,
        storage_bytes: u64,
    ) -> UsageSample {
        UsageSample {
            incarnation_id: self.incarnation,
            sequence,
            taken_at,
            counters: UsageCounters {
                requests,
                ..UsageCounters::default()
            },
            gauges: UsageGauges {
                storage_bytes,
                connections: 1,
            },
            last: false,
        }
    }
}

pub(crate) struct Limited {
    pub(crate) cloud: TestCloud,
    pub(crate) ada: Person,
    pub(crate) reports: Reports,
    pub(crate) nodes: [Node; 2],
}

pub(crate) async fn limited(quotas: Quotas) -> Limited {
    let cloud = TestCloud::with(Settings {
        limits: Limits {
            requests_per_minute: 1_000_000,
            ..Limits::default()
        },
        quotas,
        ..Settings::default()
    })
    .await;
    let ada = cloud.person("ada@example.com").await;
    let mut nodes = Vec::new();
    for (number, name) in [(1, "one"), (2, "two")] {
        let (database, _) = cloud.created(&ada, name).await;
        nodes.push(Node {
            database,
            incarnation: IncarnationId::from_uuid(Uuid::from_u128(number)),
            requests: 0,
            ceiling: 0,
            sequence: 0,
        });
    }
    let nodes: [Node; 2] = nodes.try_into().ok().expect("two");
    Limited {
        reports: Reports::of(cloud.platform.clone()),
        cloud,
        ada,
        nodes,
    }
}

impl Limited {
    pub(crate) async fn asks(
        &mut self,
        index: usize,
        wants_more: bool,
        stored: Option<u64>,
    ) -> Allowance {
        let node = &mut self.nodes[index];
        let asked = |meter, counted| MeterRequest {
            meter,
            counted,
            held: if wants_more {
                node.ceiling.max(counted)
            } else {
                counted
            },
            wants_more,
        };
        let request = AllowanceRequest {
            number: 7,
            incarnation_id: node.incarnation,
            meters: vec![asked(Meter::Requests, node.requests)],
            storage_bytes: stored,
        };
        let answer = self.reports.allowance(node.database, &request).await;
        let answer = answer.expect("answers").expect("knows the database");
        assert_eq!(
            (answer.number, answer.incarnation_id),
            (7, node.incarnation)
        );
        if let Some(known) = answer.meters.first() {
            node.ceiling = known.ceiling;
        }
        answer
    }

    /// What was counted so far is stored.
    pub(crate) async fn seals(&mut self, index: usize, storage_bytes: u64) {
        let now = self.cloud.clock.now();
        let node = &mut self.nodes[index];
        node.sequence += 1;
        let sample = node.sample(node.sequence, now, node.requests, storage_bytes);
        let stored = self.reports.samples(node.database, &[sample]).await;
        stored.expect("stored");
    }

    async fn notices(&self) -> Vec<(String, i64)> {
        let path = format!("/v1/organizations/{}/limit-notices", self.ada.organization);
        let answer = self.cloud.get(&path).cookie(&self.ada.cookie).send().await;
        answer.expect(200);
        let items = answer.body["items"].as_array().cloned().unwrap_or_default();
        let told = items.iter().map(|notice| {
            let meter = notice["meter"].as_str().unwrap_or_default().to_owned();
            (meter, notice["percent"].as_i64().unwrap_or_default())
        });
        told.collect()
    }

    /// Mails of limits, by subject.
    async fn mails(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select payload ->> 'subject' from outbox
             where payload ->> 'subject' like '%limit%' order by id",
        )
        .fetch_all(&self.cloud.admin)
        .await
        .expect("reads")
    }
}

fn requests(limit: u64) -> Quotas {
    Quotas {
        requests: Some(limit),
        ..Quotas::default()
    }
}

fn known(answer: &Allowance) -> &MeterAllowance {
    answer.meters.first().expect("has a limit")
}

#[tokio::test]
async fn what_is_stored_while_a_node_asks_is_not_given_once_more() {
    const LIMIT: u64 = 1000;
    let mut limited = limited(requests(LIMIT)).await;
    limited.nodes[0].requests = LIMIT;
    let now = limited.cloud.clock.now();
    let database = limited.nodes[0].database;
    let samples: Vec<UsageSample> = (1..=LIMIT / 5)
        .map(|nth| limited.nodes[0].sample(nth, now, nth * 5, 0))
        .collect();
    let store = Reports::of(limited.cloud.platform.clone());
    let is_stored = Cell::new(false);
    let storing = async {
        for sample in &samples {
            let stored = store.samples(database, std::slice::from_ref(sample)).await;
            stored.expect("stored");
        }
        is_stored.set(true);
    };
    let asking = async {
        while !is_stored.get() {
            let answer = limited.asks(0, true, None).await;
            assert_eq!(known(&answer).ceiling, LIMIT);
            assert!(known(&answer).is_used_up);
        }
    };
    tokio::join!(storing, asking);
}

#[tokio::test]
async fn two_nodes_use_a_day_s_requests_to_the_last_one_and_it_begins_anew_at_midnight() {
    let mut limited = limited(requests(1000)).await;
    let midnight = OffsetDateTime::new_utc(START.date() + Duration::DAY, time::Time::MIDNIGHT);
    let first = limited.asks(0, true, None).await;
    assert_eq!(known(&first).resets_at, midnight);
    assert!(known(&first).ceiling > 0 && known(&first).ceiling < 1000);
    let mut turn = 0;
    loop {
        let index = turn % 2;
        let answer = limited.asks(index, true, None).await;
        limited.nodes[index].requests = limited.nodes[index].ceiling;
        if turn % 3 == 0 {
            limited.seals(index, 0).await;
        }
        let together: u64 = limited.nodes.iter().map(|node| node.requests).sum();
        assert!(together <= 1000, "{together}");
        if known(&answer).is_used_up {
            assert_eq!(together, 1000);
            break;
        }
        turn += 1;
    }
    assert_eq!(
        limited.notices().await,
        [("requests".to_owned(), 100), ("requests".to_owned(), 80)]
    );
    let mails = limited.mails().await;
    assert_eq!(
        mails,
        [
            "80 % of your requests limit is used",
            "Your requests limit is reached"
        ]
    );
    // Asking again tells nobody again, and gives nothing.
    for index in [0, 1] {
        limited.seals(index, 0).await;
    }
    for index in [0, 1] {
        let again = limited.asks(index, true, None).await;
        assert!(known(&again).is_used_up);
        assert_eq!(known(&again).ceiling, limited.nodes[index].requests);
    }
    assert_eq!(limited.mails().await.len(), 2);

    limited.cloud.clock.advance(Duration::DAY);
    let next = limited.asks(0, true, None).await;
    assert!(!known(&next).is_used_up);
    assert_eq!(known(&next).ceiling, limited.nodes[0].requests + 100);
}

#[tokio::test]
async fn what_one_node_holds_is_not_given_to_another_until_it_gives_it_back() {
    let mut limited = limited(requests(100)).await;
    limited.asks(0, true, None).await;
    let held = limited.nodes[0].ceiling;
    limited.nodes[1].requests = 100 - held;
    let full = limited.asks(1, true, None).await;
    assert_eq!(known(&full).ceiling, 100 - held, "there is no more");
    assert!(!known(&full).is_used_up, "the other one may not use it");
    limited.asks(0, false, None).await;
    limited.asks(1, true, None).await;
    assert_eq!(limited.nodes[1].ceiling, 100 - held + held.div_ceil(2));
    // A lease ends by itself.
    limited.asks(0, true, None).await;
    limited.cloud.clock.advance(Duration::minutes(11));
    let after = limited.asks(1, true, None).await;
    assert!(known(&after).ceiling > 100 - held);
}

#[tokio::test]
async fn storage_is_one_limit_for_both_and_is_told_at_80_and_100_percent() {
    let quotas = Quotas {
        storage_bytes: Some(1000),
        ..Quotas::default()
    };
    let mut limited = limited(quotas).await;
    limited.seals(1, 300).await;
    let answer = limited.asks(0, true, Some(400)).await;
    let storage = answer.storage.expect("has a limit");
    assert_eq!((storage.ceiling_bytes, storage.limit_bytes), (700, 1000));
    assert!(limited.mails().await.is_empty());
    limited.asks(0, true, Some(500)).await;
    assert_eq!(
        limited.mails().await,
        ["80 % of your storage limit is used"]
    );
    limited.asks(0, true, Some(900)).await;
    limited.asks(0, true, Some(100)).await;
    limited.asks(0, true, Some(900)).await;
    assert_eq!(limited.mails().await.len(), 2, "once each in a month");
}

#[tokio::test]
async fn transfer_and_vector_operations_begin_anew_with_the_month() {
    let quotas = Quotas {
        transfer_out: Some(5_000),
        vector_operations: Some(50),
        ..Quotas::default()
    };
    let limited = limited(quotas).await;
    let node = &limited.nodes[0];
    let date = START.date().replace_day(1).expect("a day");
    let next_month = date + Duration::days(date.month().length(date.year()).into());
    for (meter, limit) in [(Meter::TransferOut, 5_000), (Meter::VectorOperations, 50)] {
        let ask = async |counted| {
            let asked = MeterRequest {
                meter,
                counted,
                held: counted,
                wants_more: true,
            };
            let request = AllowanceRequest {
                number: 1,
                incarnation_id: node.incarnation,
                meters: vec![asked],
                storage_bytes: None,
            };
            let answer = limited.reports.allowance(node.database, &request).await;
            *known(&answer.expect("answers").expect("knows the database"))
        };
        let begun = ask(0).await;
        assert_eq!((begun.ceiling, begun.is_used_up), (limit / 10, false));
        let full = ask(limit).await;
        assert_eq!((full.ceiling, full.is_used_up), (limit, true));
        assert_eq!(full.resets_at, next_month.midnight().assume_utc());
    }
    assert_eq!(limited.notices().await.len(), 4);
}

#[tokio::test]
async fn the_limits_of_free_are_those_of_the_price_book() {
    let mut limited = limited(Quotas::default()).await;
    let answer = limited.asks(0, true, Some(1)).await;
    assert_eq!(known(&answer).limit, 100_000);
    let storage = answer.storage.expect("has a limit");
    assert_eq!(storage.limit_bytes, 1_000_000_000);
}

#[tokio::test]
async fn a_plan_without_limits_has_none_and_an_upgrade_lifts_them() {
    let mut limited = limited(requests(10)).await;
    limited.nodes[0].requests = 10;
    assert!(known(&limited.asks(0, true, Some(1)).await).is_used_up);
    limited.cloud.set_plan(&limited.ada, "pro-starter").await;
    let answer = limited.asks(0, true, Some(1)).await;
    assert!(answer.meters.is_empty() && answer.storage.is_none());
}
