//! The process that sends dies at each step, Stripe fails in every way: to the cent all the same.

use super::world::World;
use lumadb_control_plane::app::billing::InvoiceState;
use lumadb_control_plane::collect::{reconcile, send_due};
use lumadb_stripe_fake::faults::Faults;
use time::Duration;

/// Cents of the invoices that are collected.
const INVOICES: [i64; 3] = [2900, 12_345, 60];

/// Sends until so many requests were executed, and dies there, whatever is under way.
async fn killed_after(world: &World, requests: u64) {
    let until = world.fake.executed_all() + requests;
    let reached = async {
        while world.fake.executed_all() < until {
            tokio::task::yield_now().await;
        }
    };
    let sending = async { while send_due(&world.collector).await.expect("sent") > 0 {} };
    tokio::select! {
        biased;
        () = reached => {}
        () = sending => {}
    }
}

#[tokio::test]
async fn killed_at_each_step_every_invoice_is_charged_once_and_to_the_cent() {
    for step in 1..=15 {
        let world = World::new().await;
        let person = world.person("4242424242424242").await;
        let mut issued = Vec::new();
        for cents in INVOICES {
            issued.push(world.issue(&person, cents).await);
        }
        killed_after(&world, step).await;
        world.fake.set_faults(Faults {
            percent: 25,
            seed: step,
            ..Faults::default()
        });
        // What the dead one took is free again after a while.
        for round in 0..40 {
            world.advance(Duration::minutes(6));
            killed_after(&world, 1 + round % 4).await;
        }
        world.fake.set_faults(Faults::default());
        world.fake.release();
        world.advance(Duration::hours(1));
        for row in &issued {
            world
                .until(async || world.is(row, InvoiceState::Paid).await)
                .await;
        }
        let sum: i64 = INVOICES.iter().sum();
        assert_eq!((world.cash().await, world.moved()), (sum, sum), "{step}");
        let charged = world.fake.objects("charge").len();
        assert_eq!(charged, INVOICES.len(), "{step}");
        world.advance(Duration::hours(3));
        let report = reconcile(&world.collector).await.expect("compared");
        assert_eq!(report.differences, [], "{step}");
    }
}
