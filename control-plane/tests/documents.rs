//! Invoices as documents, costs and usage as tables.

use crate::support::{Person, START, TestCloud};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use lumadb_billing::period::Period;
use lumadb_billing::rating::{Line, LineKind};
use lumadb_contract::id::{IncarnationId, InvoiceId};
use lumadb_contract::money::Cents;
use lumadb_control_plane::app::billing::{self, InvoiceKind, NewInvoice};
use lumadb_control_plane::notify::{Transport, send_due};
use lumadb_control_plane::runtime::{ComputeSpan, Reports};
use lumadb_control_plane::store::EitherTx;
use serde_json::json;
use time::Duration;
use uuid::Uuid;

async fn issued(cloud: &TestCloud, person: &Person) -> InvoiceId {
    let period = Period::of(START).expect("a period");
    let line = Line {
        kind: LineKind::Fee,
        plan: "pro-starter".parse().expect("a plan"),
        book: serde_json::from_value(json!("2026-11")).expect("a version"),
        from: period.start(),
        to: period.end(),
        corrects: None,
        amount: Cents::new(2900),
        usage: None,
    };
    let mut tx = cloud.platform.store.region().await.expect("a scope");
    let new = NewInvoice {
        organization: person.organization,
        kind: InvoiceKind::Change,
        period,
        lines: vec![line],
        at: cloud.clock.now(),
    };
    let row = billing::issue(&cloud.platform, &mut EitherTx::Region(&mut tx), new).await;
    let row = row.expect("issued");
    billing::payment(
        &mut EitherTx::Region(&mut tx),
        row.organization_id,
        row.id,
        "ours",
        Cents::new(1000),
        cloud.clock.now(),
    )
    .await
    .expect("booked");
    tx.commit().await.expect("committed");
    row.id
}

#[tokio::test]
async fn an_invoice_is_a_page_and_a_pdf_for_those_who_may_see_it() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let rename = format!("/v1/organizations/{}/billing", ada.organization);
    let hostile = json!({ "name": "<script>alert(1)</script> & Söhne" });
    let changed = cloud.patch(&rename).cookie(&ada.cookie).json(&hostile);
    changed.send().await.expect(200);
    let id = issued(&cloud, &ada).await;
    let page = format!("/v1/invoices/{id}/document.html");
    let html = cloud.get(&page).cookie(&ada.cookie).send().await;
    html.expect(200);
    assert!(
        html.headers[CONTENT_TYPE]
            .to_str()
            .expect("text")
            .starts_with("text/html")
    );
    let policy = html.headers[CONTENT_SECURITY_POLICY]
        .to_str()
        .expect("text");
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"));
    for said in [
        "INV-2026-000001",
        "Pro: Starter",
        "$29.00",
        "Still due",
        "$19.00",
    ] {
        assert!(html.raw.contains(said), "{said} is not in {}", html.raw);
    }
    assert!(
        html.raw
            .contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; Söhne")
    );
    assert!(!html.raw.contains("<script"));
    let file = format!("/v1/invoices/{id}/document.pdf");
    let pdf = cloud.get(&file).cookie(&ada.cookie).send().await;
    pdf.expect(200);
    assert_eq!(pdf.headers[CONTENT_TYPE], "application/pdf");
    let name = "inline; filename=\"INV-2026-000001.pdf\"";
    assert_eq!(pdf.headers[CONTENT_DISPOSITION], name);
    assert!(pdf.raw.starts_with("%PDF-1.7"));
    for path in [page, file] {
        let answer = cloud.get(&path).cookie(&eve.cookie).send().await;
        answer.expect_problem(404, "not_found");
        cloud.get(&path).send().await.expect(401);
    }
}

#[tokio::test]
async fn the_mail_of_an_invoice_brings_its_pdf() {
    let folder = std::env::temp_dir().join(format!("lumadb-invoice-{}", std::process::id()));
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    issued(&cloud, &ada).await;
    let transport = Transport::local(folder.clone(), "cloud@localhost").expect("a transport");
    assert!(send_due(&cloud.platform, &transport).await.expect("sent") > 0);
    let mails = std::fs::read_dir(&folder).expect("a folder").map(|entry| {
        let path = entry.expect("an entry").path();
        std::fs::read_to_string(path).expect("a mail")
    });
    let mails: Vec<String> = mails.filter(|mail| mail.contains("MIME-Version")).collect();
    let file = "Content-Disposition: attachment; filename=\"INV-2026-000001.pdf\"";
    let with = mails.iter().filter(|mail| mail.contains(file));
    assert_eq!(with.count(), 1, "{mails:?}");
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn costs_and_usage_of_a_month_are_tables() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    issued(&cloud, &ada).await;
    let (id, _) = cloud.created(&ada, "=shop").await;
    let reports = Reports::new(cloud.platform.store.clone(), cloud.clock.clone());
    reports
        .compute_span(ComputeSpan {
            database_id: id,
            incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(1)),
            started_at: START,
            ended_at: Some(START + Duration::hours(2)),
            seen_at: START + Duration::hours(2),
            milli_vcpu: 250,
        })
        .await
        .expect("recorded");
    let month = Period::of(START).expect("a period");
    let path = format!("/v1/organizations/{}", ada.organization);
    let costs = cloud.get(&format!("{path}/cost-export?period={month}"));
    let costs = costs.cookie(&ada.cookie).send().await;
    costs.expect(200);
    assert_eq!(costs.headers[CONTENT_TYPE], "text/csv; charset=utf-8");
    let lines: Vec<&str> = costs.raw.split_terminator("\r\n").collect();
    assert!(lines[0].starts_with("BilledCost,BillingAccountId,"));
    assert_eq!(lines.len(), 2, "{}", costs.raw);
    assert!(lines[1].starts_with("29.00,org_"), "{}", lines[1]);
    assert!(
        lines[1].contains(",INV-2026-000001,LumaDB Cloud,"),
        "{}",
        lines[1]
    );
    for (granularity, rows) in [("day", 1), ("hour", 2)] {
        let query = format!("{path}/usage-export?period={month}&granularity={granularity}");
        let usage = cloud.get(&query).cookie(&ada.cookie).send().await;
        usage.expect(200);
        let lines: Vec<&str> = usage.raw.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 1 + rows, "{}", usage.raw);
        assert!(lines[1].contains(",'=shop,compute,"), "{}", lines[1]);
    }
    for what in ["cost-export", "usage-export"] {
        let bad = cloud.get(&format!("{path}/{what}?period=2026-13"));
        bad.cookie(&ada.cookie).send().await.expect(400);
        let other = cloud.get(&format!("{path}/{what}?period={month}"));
        let answer = other.cookie(&eve.cookie).send().await;
        answer.expect_problem(404, "not_found");
    }
}
