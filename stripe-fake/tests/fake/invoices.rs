use super::world::World;
use http::Method;

#[tokio::test]
async fn an_invoice_goes_from_draft_to_paid() {
    let world = World::new().await;
    let customer = world.customer("pm_card_visa").await;
    let body = format!("customer={customer}&auto_advance=false&metadata[invoice]=inv_1");
    let invoice = world.post("/v1/invoices", &body).await;
    let id = invoice["id"].as_str().expect("as expected");
    let lines = "lines[0][amount]=2900&lines[0][description]=Fee&lines[0][period][start]=1\
                 &lines[0][period][end]=2&lines[0][tax_amounts][0][amount]=551\
                 &lines[0][tax_amounts][0][taxable_amount]=2900\
                 &lines[0][tax_amounts][0][tax_rate_data][display_name]=VAT\
                 &lines[0][tax_amounts][0][tax_rate_data][inclusive]=false\
                 &lines[0][tax_amounts][0][tax_rate_data][percentage]=19\
                 &lines[1][amount]=-400&lines[1][description]=Credit";
    let invoice = world
        .post(&format!("/v1/invoices/{id}/add_lines"), lines)
        .await;
    assert_eq!(
        (&invoice["subtotal"], &invoice["total"]),
        (&2500.into(), &3051.into())
    );
    assert_eq!(invoice["total_excluding_tax"], 2500);
    let invoice = world
        .post(&format!("/v1/invoices/{id}"), "number=INV-1")
        .await;
    assert_eq!(invoice["status"], "draft");
    let taken = world
        .post("/v1/invoices", &format!("customer={customer}"))
        .await;
    let path = format!(
        "/v1/invoices/{}",
        taken["id"].as_str().expect("as expected")
    );
    assert_eq!(world.try_post(&path, "number=INV-1", "n").await.0, 400);

    let invoice = world
        .post(&format!("/v1/invoices/{id}/finalize"), "auto_advance=false")
        .await;
    assert_eq!(
        (&invoice["status"], &invoice["amount_due"]),
        (&"open".into(), &3051.into())
    );
    let late = world
        .try_post(&format!("/v1/invoices/{id}/add_lines"), lines, "l")
        .await;
    assert_eq!(late.0, 400);
    let invoice = world.post(&format!("/v1/invoices/{id}/pay"), "").await;
    assert_eq!(
        (&invoice["status"], &invoice["amount_paid"]),
        (&"paid".into(), &3051.into())
    );
    let again = world
        .try_post(&format!("/v1/invoices/{id}/pay"), "", "p")
        .await;
    assert_eq!(again.1["error"]["code"], "invoice_already_paid");

    let moved = world.get("/v1/balance_transactions?type=charge").await;
    assert_eq!(moved["data"][0]["amount"], 3051);
    assert_eq!(moved["data"][0]["fee"], 118);
}

#[tokio::test]
async fn less_than_the_smallest_charge_waits_for_the_next_invoice() {
    let world = World::new().await;
    let customer = world.customer("pm_card_visa").await;
    let balance = async || world.get(&format!("/v1/customers/{customer}")).await["balance"].clone();
    let small = world.invoice(&customer, 49).await;
    let small = world.get(&format!("/v1/invoices/{small}")).await;
    assert_eq!(
        (&small["status"], &small["amount_paid"]),
        (&"paid".into(), &0.into())
    );
    assert_eq!((&small["total"], balance().await), (&49.into(), 49.into()));

    let next = world.invoice(&customer, 2).await;
    let next = world.get(&format!("/v1/invoices/{next}")).await;
    assert_eq!(
        (&next["status"], &next["amount_due"]),
        (&"open".into(), &51.into())
    );
    assert_eq!((&next["total"], balance().await), (&2.into(), 0.into()));
}

#[tokio::test]
async fn a_card_that_fails_leaves_the_invoice_open_and_the_key_used() {
    let world = World::new().await;
    let customer = world.customer("pm_card_chargeCustomerFail").await;
    let id = world.invoice(&customer, 2900).await;
    let pay = format!("/v1/invoices/{id}/pay");
    let (status, answer) = world.try_post(&pay, "", "k1").await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (402, Some("card_declined"))
    );
    let invoice = world.get(&format!("/v1/invoices/{id}")).await;
    assert_eq!(
        (&invoice["status"], &invoice["attempt_count"]),
        (&"open".into(), &1.into())
    );

    let path = "/v1/payment_methods/pm_card_visa/attach";
    let card = world.post(path, &format!("customer={customer}")).await;
    let default = card["id"].as_str().expect("as expected");
    let body = format!("invoice_settings[default_payment_method]={default}");
    world
        .post(&format!("/v1/customers/{customer}"), &body)
        .await;
    assert_eq!(world.try_post(&pay, "", "k1").await.0, 402);
    assert_eq!(world.try_post(&pay, "", "k2").await.0, 200);
}

#[tokio::test]
async fn a_card_that_asks_is_paid_with_on_the_page() {
    let world = World::new().await;
    let customer = world.customer("pm_card_authenticationRequired").await;
    let id = world.invoice(&customer, 2900).await;
    let (status, answer) = world
        .try_post(&format!("/v1/invoices/{id}/pay"), "", "k")
        .await;
    let code = "invoice_payment_intent_requires_action";
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (402, Some(code))
    );
    let page = format!("/invoice/{id}");
    let fields = "number=4000002760003184&answer=approve";
    let (_, shown) = world
        .send(Method::POST, &page, fields, None)
        .await
        .expect("as expected");
    assert!(shown.contains("<b>paid</b>"), "{shown}");
}

#[tokio::test]
async fn what_was_paid_is_given_back_once() {
    let world = World::new().await;
    let customer = world.customer("pm_card_visa").await;
    let id = world.invoice(&customer, 2900).await;
    world.post(&format!("/v1/invoices/{id}/pay"), "").await;
    let wrong = format!("invoice={id}&amount=900&refund_amount=800");
    assert_eq!(world.try_post("/v1/credit_notes", &wrong, "w").await.0, 400);
    let body = format!("invoice={id}&amount=900&refund_amount=900&metadata[c]=cn_1");
    let note = world.post("/v1/credit_notes", &body).await;
    assert_eq!(
        (&note["total"], &note["refunds"][0]["amount_refunded"]),
        (&900.into(), &900.into())
    );
    let refunds = world.get("/v1/refunds").await;
    assert_eq!(refunds["data"][0]["amount"], 900);
    let much = format!("invoice={id}&amount=2001&refund_amount=2001");
    assert_eq!(world.try_post("/v1/credit_notes", &much, "m").await.0, 400);

    let open = world.invoice(&customer, 500).await;
    world
        .post("/v1/credit_notes", &format!("invoice={open}&amount=500"))
        .await;
    let open = world.get(&format!("/v1/invoices/{open}")).await;
    assert_eq!(
        (&open["status"], &open["amount_paid"]),
        (&"paid".into(), &0.into())
    );
}

#[tokio::test]
async fn a_dispute_takes_the_money_and_a_won_one_brings_it_back() {
    let world = World::new().await;
    let customer = world.customer("pm_card_createDispute").await;
    let id = world.invoice(&customer, 2900).await;
    world.post(&format!("/v1/invoices/{id}/pay"), "").await;
    let dispute = world.fake.objects("dispute").remove(0);
    assert_eq!(dispute["status"], "needs_response");
    world
        .fake
        .dispute_end(dispute["id"].as_str().expect("as expected"), true);
    let moved = world.get("/v1/balance_transactions?limit=100").await;
    let amounts: Vec<i64> = moved["data"]
        .as_array()
        .expect("as expected")
        .iter()
        .map(|moved| moved["amount"].as_i64().expect("as expected"))
        .collect();
    assert_eq!(amounts, [2900, -2900, 2900]);
}
