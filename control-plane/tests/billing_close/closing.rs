//! Months are closed once each, whoever does it and whatever is cut off.

use super::{DECEMBER, JANUARY, Node};
use crate::support::TestCloud;
use async_trait::async_trait;
use lumadb_contract::id::{CreditNoteId, OrganizationId};
use lumadb_control_plane::app::billing::{self, Collection, CollectionMode};
use lumadb_control_plane::runtime::ComputeSpan;
use lumadb_control_plane::store::billing::invoice::InvoiceRow;
use lumadb_control_plane::store::{EitherTx, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use time::Duration;
use time::macros::datetime;

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
