//! Each fault at each request of an invoice: charged once and to the cent.

use super::world::World;
use lumadb_control_plane::app::billing::InvoiceState;
use lumadb_control_plane::collect::{reconcile, send_due};
use lumadb_stripe_fake::faults::{Fault, Faults, Rule, WebhookFault};
use time::Duration;

const FAULTS: [Fault; 5] = [
    Fault::TooMany,
    Fault::ServerError,
    Fault::ServerErrorKept,
    Fault::BadGateway,
    Fault::AnswerLost,
];

/// Part of the path of each request that an invoice takes.
const REQUESTS: [&str; 4] = ["/v1/invoices", "/add_lines", "/finalize", "/pay"];

#[tokio::test]
async fn each_fault_at_each_request_ends_with_one_charge() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    let mut sum = 0;
    for (cents, fault) in (1000..).zip(FAULTS) {
        for request in REQUESTS {
            world.fake.set_faults(Faults {
                rules: vec![Rule {
                    method: Some("POST".into()),
                    contains: request.into(),
                    fault,
                    times: 1,
                }],
                webhooks: [WebhookFault::Never, WebhookFault::Twice, WebhookFault::Held]
                    .into_iter()
                    .cycle()
                    .take(9)
                    .collect(),
                ..Faults::default()
            });
            let issued = world.issue(&person, cents).await;
            sum += cents;
            for _ in 0..20 {
                send_due(&world.collector).await.expect("tried");
                world.advance(Duration::minutes(11));
            }
            let is_paid = world.is(&issued, InvoiceState::Paid).await;
            assert!(is_paid, "{fault:?} at {request}");
            assert_eq!(
                (world.cash().await, world.moved()),
                (sum, sum),
                "{fault:?} at {request}"
            );
        }
    }
    world.fake.set_faults(Faults::default());
    world.fake.release();
    world.until(async || world.fake.deliveries() == 0).await;
    while send_due(&world.collector).await.expect("sent") > 0 {}
    assert_eq!((world.cash().await, world.moved()), (sum, sum));
    let invoices = FAULTS.len() * REQUESTS.len();
    assert_eq!(world.fake.objects("invoice").len(), invoices);
    assert_eq!(world.fake.objects("charge").len(), invoices);
    world.advance(Duration::hours(3));
    let report = reconcile(&world.collector).await.expect("compared");
    assert_eq!(report.invoices_compared, invoices);
    assert_eq!(report.differences, []);
}
