use super::world::World;
use lumadb_contract::money::Cents;
use lumadb_control_plane::app::billing::InvoiceState;
use lumadb_control_plane::collect::{DifferenceKind, reconcile};
use time::Duration;

#[tokio::test]
async fn a_cent_and_a_missing_invoice_are_found_and_named() {
    let world = World::new().await;
    let person = world.person("4242424242424242").await;
    let mut issued = Vec::new();
    for cents in [2900, 1234, 777] {
        let row = world.issue(&person, cents).await;
        world
            .until(async || world.is(&row, InvoiceState::Paid).await)
            .await;
        issued.push(row);
    }
    world.advance(Duration::hours(3));
    let clean = reconcile(&world.collector).await.expect("compared");
    assert_eq!((clean.invoices_compared, clean.differences.len()), (3, 0));

    let of = |number: &str| {
        let invoices = world.fake.objects("invoice");
        let found = invoices
            .into_iter()
            .find(|invoice| invoice["number"] == number);
        found.expect("an invoice")["id"]
            .as_str()
            .expect("an ID")
            .to_owned()
    };
    world
        .fake
        .tamper("invoice", &of(&issued[0].number), |mut invoice| {
            invoice["total"] = 2901.into();
            Some(invoice)
        });
    world
        .fake
        .tamper("invoice", &of(&issued[1].number), |_| None);
    let found = reconcile(&world.collector)
        .await
        .expect("compared")
        .differences;
    let named: Vec<_> = found
        .iter()
        .map(|d| (d.kind, d.document.as_str(), d.ours_cents, d.theirs_cents))
        .collect();
    let cents = Cents::new;
    assert_eq!(
        named,
        [
            (
                DifferenceKind::Amount,
                issued[0].number.as_str(),
                cents(2900),
                cents(2901)
            ),
            (
                DifferenceKind::Received,
                issued[0].number.as_str(),
                cents(2900),
                cents(2901)
            ),
            (
                DifferenceKind::Missing,
                issued[1].number.as_str(),
                cents(1234),
                cents(0)
            ),
            (DifferenceKind::Balance, "charges", cents(3677), cents(4911)),
        ]
    );
    let kept: i64 = sqlx::query_scalar(
        "select jsonb_array_length(differences)::bigint from stripe_reports order by made_at desc, id desc limit 1",
    )
    .fetch_one(&world.cloud.admin)
    .await
    .expect("a report");
    assert_eq!(kept, 4);
}
