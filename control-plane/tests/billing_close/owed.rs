//! What is owed: reminded of, credited, paid, taxed, agreed.

use super::DECEMBER;
use crate::support::{FakeRuntime, START, TestCloud};
use lumadb_billing::invoice::CreditedLine;
use lumadb_contract::id::InvoiceId;
use lumadb_contract::money::Cents;
use lumadb_control_plane::app::billing;
use lumadb_control_plane::store::EitherTx;
use serde_json::json;
use time::Duration;

#[tokio::test]
async fn who_does_not_pay_is_reminded_suspended_and_comes_back_by_paying() {
    let cloud = TestCloud::new().await;
    let runtime = FakeRuntime::new();
    let ada = cloud.person("ada@example.com").await;
    cloud.plan_change(&ada, "pro-starter").await.expect(201);
    let running = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "a").await;
    let stopped = cloud.running(&ada, "b").await;
    cloud
        .act(&ada, &format!("/v1/databases/{stopped}/suspend"))
        .await
        .expect(200);
    cloud.in_state(&ada, stopped, "suspended").await;
    let due = START + Duration::days(14);
    let mut said = 0;
    for (days, overdue_mails, standing) in [
        (0, 1, "overdue"),
        (3, 2, "overdue"),
        (7, 3, "overdue"),
        (14, 3, "suspended"),
    ] {
        cloud.move_to((due + Duration::days(days) + Duration::hours(1)).max(cloud.clock.now()));
        while cloud.work().await > 0 {}
        let mails = cloud.mails("ada@example.com").await;
        said = mails
            .iter()
            .filter(|mail| mail.contains("INV-2026-000001 is overdue: $"))
            .count();
        assert_eq!(said, overdue_mails, "after {days} days");
        assert_eq!(
            cloud.billing_of(&ada, "billing").await["standing"],
            standing,
            "after {days} days"
        );
    }
    assert_eq!(said, 3);
    cloud.in_state(&ada, id, "suspended").await;
    let refused = cloud.act(&ada, &format!("/v1/databases/{id}/resume")).await;
    refused.expect_problem(409, "conflict");
    let refused = cloud.create(&ada, &json!({ "name": "c" })).await;
    refused.expect_problem(409, "conflict");
    let mails = cloud.mails("ada@example.com").await;
    assert!(
        mails
            .iter()
            .any(|mail| mail.contains("Nothing of them is deleted")),
        "{mails:?}"
    );
    for (number, invoice) in cloud.invoices(&ada).await.iter().enumerate() {
        if invoice["outstanding_cents"].as_i64().expect("cents") > 0 {
            cloud
                .pay(&ada, invoice, &format!("transfer-{number}"))
                .await;
        }
    }
    assert_eq!(cloud.billing_of(&ada, "billing").await["standing"], "good");
    cloud.in_state(&ada, id, "running").await;
    cloud.in_state(&ada, stopped, "suspended").await;
    drop(running);
}

#[tokio::test]
async fn a_credit_note_takes_back_what_was_too_much() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let changed = cloud.plan_change(&ada, "pro-starter").await;
    let invoice = changed.body["invoice"].clone();
    let id: InvoiceId = serde_json::from_value(invoice["id"].clone()).expect("an ID");
    let credit = async |cents: i64| {
        let mut tx = cloud.platform.store.region().await.expect("a scope");
        let note = billing::credit_note(
            &cloud.platform,
            &mut EitherTx::Region(&mut tx),
            ada.organization,
            id,
            vec![CreditedLine {
                line: 0,
                amount: Cents::new(cents),
            }],
            "An outage",
            "system",
            cloud.clock.now(),
        )
        .await;
        tx.commit().await.expect("committed");
        note
    };
    let note = credit(225).await.expect("issued");
    assert_eq!(note.number.to_string(), "CN-2026-000001");
    let left = cloud.invoices(&ada).await[0].clone();
    assert_eq!(left["outstanding_cents"], 500);
    assert_eq!(left["state"], "final");
    assert!(credit(501).await.is_err(), "more than is left");
    credit(500).await.expect("issued");
    assert_eq!(cloud.invoices(&ada).await[0]["state"], "paid");
    let path = format!("/v1/invoices/{id}/credit-notes");
    let notes = cloud.get(&path).cookie(&ada.cookie).send().await;
    notes.expect(200);
    assert_eq!(notes.body["items"][1]["number"], "CN-2026-000002");
    assert_eq!(
        notes.body["items"][1]["lines"],
        json!([{ "position": 0, "amount_cents": 500 }])
    );
}

#[tokio::test]
async fn the_platforms_owner_says_what_was_paid_how_one_is_taxed_and_what_was_agreed() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let platform = &cloud.platform;
    let organization = ada.organization;
    let changed = cloud.plan_change(&ada, "pro-starter").await;
    let number = changed.text("/invoice/number");
    let paid = billing::owner_paid(platform, &number, "transfer-1", None).await;
    assert_eq!(paid.expect("booked").outstanding_cents, Cents::ZERO);
    let twice = billing::owner_paid(platform, &number, "transfer-1", None).await;
    assert_eq!(twice.expect("known").outstanding_cents, Cents::ZERO);
    let again = billing::owner_paid(platform, &number, "transfer-2", None).await;
    assert!(again.is_err(), "nothing is outstanding");
    let unknown = billing::owner_paid(platform, "INV-2026-999999", "x", None).await;
    assert!(unknown.is_err());
    let tax = serde_json::from_value(json!({ "kind": "rate", "name": "VAT", "rate": 190_000 }));
    let tax = Some(tax.expect("a tax"));
    let told = billing::owner_customer(platform, organization, tax, None).await;
    told.expect("written");
    let amount = Cents::new(1000);
    let granted = billing::owner_credit(platform, organization, amount, "Welcome", None).await;
    granted.expect("granted");
    let agreement = json!({ "fee": 100_000, "minimum": 150_000, "prices": { "compute": "0.04" } });
    let agreement = serde_json::from_value(agreement).expect("an agreement");
    let agreed = billing::owner_agree(platform, organization, "enterprise", &agreement).await;
    let invoice = agreed.expect("agreed").expect("an invoice");
    // A quarter of the month is left: 250.00 less 7.25, less the credit, and 19 % of that.
    assert_eq!(invoice.net_cents, Cents::new(25_000 - 725 - 1000));
    assert_eq!(invoice.tax_cents, Cents::new(4422));
    let nobody = billing::owner_agree(platform, organization, "pro-gold", &agreement).await;
    assert!(nobody.is_err());
    let no_fee = lumadb_billing::rating::Agreement::default();
    let no_fee = billing::owner_agree(platform, organization, "enterprise", &no_fee).await;
    assert!(no_fee.is_err(), "a plan without a fee needs one");
    let void = billing::owner_void(platform, &invoice.number).await;
    void.expect("void");
    cloud.move_to(DECEMBER);
    while cloud.work().await > 0 {}
    let closing = cloud.closing(&ada, "2026-11").await;
    let kinds: Vec<_> = closing["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|l| &l["kind"])
        .collect();
    assert!(kinds.contains(&&json!("minimum")), "{kinds:?}");
}
