//! What is taken back: void invoices, credit notes, refunds.

use super::world::World;
use lumadb_billing::invoice::CreditedLine;
use lumadb_contract::money::Cents;
use lumadb_control_plane::app::billing::{self, InvoiceState};
use lumadb_control_plane::collect::{DifferenceKind, reconcile, send_due};
use lumadb_control_plane::store::EitherTx;
use lumadb_control_plane::store::billing::invoice::InvoiceRow;
use lumadb_stripe_fake::faults::{Fault, Faults, Rule};
use time::Duration;

impl World {
    async fn credit(&self, row: &InvoiceRow, cents: i64) {
        let mut tx = self.cloud.platform.store.region().await.expect("a scope");
        let mut either = EitherTx::Region(&mut tx);
        let line = CreditedLine {
            line: 0,
            amount: Cents::new(cents),
        };
        let note = billing::credit_note(
            &self.cloud.platform,
            &mut either,
            row.organization_id,
            row.id,
            vec![line],
            "it was slow",
            "owner",
            self.cloud.clock.now(),
        );
        note.await.expect("issued");
        tx.commit().await.expect("committed");
    }

    async fn void(&self, row: &InvoiceRow) {
        let mut tx = self.cloud.platform.store.region().await.expect("a scope");
        let mut either = EitherTx::Region(&mut tx);
        let void = billing::void(
            &self.cloud.platform,
            &mut either,
            row.organization_id,
            row.id,
            self.cloud.clock.now(),
        );
        void.await.expect("void");
        tx.commit().await.expect("committed");
    }

    /// Until nothing is to be sent any more, however late it is due.
    async fn settle(&self) {
        for _ in 0..20 {
            send_due(&self.collector).await.expect("sent");
            self.advance(Duration::minutes(11));
        }
    }

    async fn differences(&self) -> Vec<(DifferenceKind, String)> {
        self.advance(Duration::hours(3));
        let report = reconcile(&self.collector).await.expect("compared");
        let named = report.differences.into_iter();
        named.map(|found| (found.kind, found.document)).collect()
    }

    fn charged(&self) -> i64 {
        let charges = self.fake.objects("charge");
        let paid = charges.iter().filter(|charge| charge["paid"] == true);
        paid.map(|charge| charge["amount"].as_i64().expect("cents"))
            .sum()
    }
}

#[tokio::test]
async fn what_is_taken_back_of_a_paid_invoice_goes_back_to_the_card() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    let issued = world.issue(&person, 2900).await;
    world
        .until(async || world.is(&issued, InvoiceState::Paid).await)
        .await;
    world.credit(&issued, 1000).await;
    world.settle().await;
    assert_eq!((world.cash().await, world.moved()), (1900, 1900));
    // What went back does not pay for the next one as well.
    let next = world.issue(&person, 500).await;
    world
        .until(async || world.is(&next, InvoiceState::Paid).await)
        .await;
    assert_eq!((world.cash().await, world.moved()), (2400, 2400));
    assert_eq!(world.differences().await, []);

    let refund = world.fake.objects("balance_transaction");
    let refund = refund.iter().find(|moved| moved["type"] == "refund");
    let refund = refund.expect("a refund")["id"].as_str().expect("an ID");
    world.fake.tamper("balance_transaction", refund, |mut it| {
        it["amount"] = (-1001).into();
        Some(it)
    });
    let found = world.differences().await;
    assert_eq!(found, [(DifferenceKind::Balance, "refunds".to_owned())]);
}

#[tokio::test]
async fn what_is_taken_back_of_an_open_invoice_is_not_charged() {
    let world = World::new().await;
    let person = world.person("4000000000000341").await;
    let issued = world.issue(&person, 2900).await;
    world.settle().await;
    world.credit(&issued, 1000).await;
    world.card_save(&person, "4242424242424242").await;
    world.settle().await;
    assert!(world.is(&issued, InvoiceState::Paid).await);
    assert_eq!((world.cash().await, world.moved()), (1900, 1900));
    assert_eq!(world.differences().await, []);
}

#[tokio::test]
async fn what_is_taken_back_before_stripe_was_there_is_not_charged() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    world.fake.set_faults(Faults {
        rules: vec![Rule {
            method: None,
            contains: "/v1/".into(),
            fault: Fault::BadGateway,
            times: 1000,
        }],
        ..Faults::default()
    });
    let part = world.issue(&person, 2900).await;
    let whole = world.issue(&person, 700).await;
    world.credit(&part, 1000).await;
    world.credit(&whole, 700).await;
    send_due(&world.collector).await.expect("tried");
    world.fake.set_faults(Faults::default());
    world.settle().await;
    assert!(world.is(&part, InvoiceState::Paid).await);
    assert!(world.is(&whole, InvoiceState::Paid).await);
    assert_eq!((world.cash().await, world.charged()), (1900, 1900));
    assert_eq!(world.differences().await, []);
}

#[tokio::test]
async fn a_void_invoice_is_void_at_stripe_and_never_charged() {
    let world = World::new().await;
    let person = world.person("4000000000000341").await;
    let sent = world.issue(&person, 2900).await;
    world.settle().await;
    world.void(&sent).await;
    let unsent = world.issue(&person, 700).await;
    world.void(&unsent).await;
    world.card_save(&person, "4242424242424242").await;
    world.settle().await;
    world.advance(Duration::days(30));
    world.settle().await;
    let shown = world.fake.objects("invoice");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["status"], "void");
    assert_eq!((world.cash().await, world.moved()), (0, 0));
    assert_eq!(world.differences().await, []);
}
