//! A month of use becomes an invoice that is paid, mailed, and right to the cent. The judge is a
//! second calculation, in Python's fractions, from what the API says was used.

use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::api::{Api, text};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, mail, tools};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339};

/// Longest time for what nodes say each minute, on a crowded machine.
const LIMIT: Duration = Duration::from_mins(4);

/// Usage of an ended month is not waited for longer than this: what is left of it must not decide.
const PAST_ALL_PATIENCE: time::Duration = time::Duration::hours(13);

const HOUR_US: u64 = 3600 * 1_000_000;

/// Thousandths of a vCPU that each database has.
const MILLI_VCPU: u64 = 1000;

#[tokio::test]
async fn a_month_of_use_is_invoiced_to_the_cent_and_paid_by_card() -> Outcome<()> {
    let cloud = Cloud::start_with(&[("LUMADB_BILLING_CLOCK_MOVES", "true")]).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let plan_began = upgrade(&ada).await?;
    invoice_paid(&ada, "change").await?;
    // Two of one vCPU each, of which the plan includes one.
    let (first, second) =
        tokio::try_join!(ada.create_database("first"), ada.create_database("second"))?;
    for database in [&first, &second] {
        used(&ada, database).await?;
    }

    let month = Month::of(now(&ada).await?)?;
    let seconds = (month.end - now(&ada).await? + PAST_ALL_PATIENCE).whole_seconds();
    ada.api
        .post("/v1/billing-clock", &json!({"seconds": seconds}))
        .await?
        .expect(200)?;
    let invoice = invoice_paid(&ada, "period").await?;

    let exported = exported(&ada, &month).await?;
    let path = format!("/v1/organizations/{}", ada.organization_id);
    let signed_up = text(&ada.api.read(&path).await?, "/created_at")?;
    let signed_up = OffsetDateTime::parse(&signed_up, &Rfc3339)?;
    let terms = [("free", signed_up), ("pro-starter", plan_began)];
    let wanted = calculate(&month, terms, &exported)?;
    let lines = lines_of(&invoice)?;
    for (ours, theirs) in lines.iter().zip(wanted["lines"].as_array().ok_or("none")?) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(Some(lines.len()), wanted["lines"].as_array().map(Vec::len));
    assert_eq!(invoice["total_cents"], wanted["total"]);
    let compute = line_of(&invoice, "compute")?;
    assert!(compute["amount_cents"].as_i64() > Some(0), "{compute}");
    opens_into_samples(&ada, &invoice, &first).await?;

    let number = text(&invoice, "/number")?;
    let pdf = ada
        .api
        .get(&format!(
            "/v1/invoices/{}/document.pdf",
            text(&invoice, "/id")?
        ))
        .await?
        .expect(200)?;
    assert!(pdf.text.starts_with("%PDF-"), "no PDF");
    let mailed = mail::text_mailed(&cloud.data_dir(), &ada.email, &number).await?;
    assert!(mailed.contains("Content-Type: application/pdf"), "{mailed}");
    Ok(())
}

/// Takes the plan Pro: Starter with a test card; since when it is in force.
pub(crate) async fn upgrade(ada: &Account) -> Outcome<OffsetDateTime> {
    let organization = format!("/v1/organizations/{}", ada.organization_id);
    let plan = json!({"plan_id": "pro-starter"});
    let changes = format!("{organization}/plan-changes");
    ada.api.post(&changes, &plan).await?.expect(201)?;
    let card = until("the page to be opened", LIMIT, || async {
        let path = format!("{organization}/card");
        let page = ada.api.post(&path, &json!({})).await?.expect(201)?;
        Ok(Some(page.text_at("/url")?))
    })
    .await?;
    Api::new(&card)
        .with("content-type", "application/x-www-form-urlencoded")?
        .send_raw(http::Method::POST, "", "number=4242424242424242")
        .await?
        .expect(303)?;
    let began = until("the plan to begin", LIMIT, || async {
        let changes = ada.api.read(&changes).await?;
        Ok(changes["items"][0]["effective_at"]
            .as_str()
            .map(str::to_owned))
    })
    .await?;
    Ok(OffsetDateTime::parse(&began, &Rfc3339)?)
}

/// Works with a database until what was done and what it holds is counted.
async fn used(ada: &Account, database: &Database) -> Outcome<()> {
    for arguments in [
        &["-i", "-q", "-s", "2"][..],
        &["-n", "-c", "2", "-t", "200"],
    ] {
        let mut command = tokio::process::Command::new(tools::pgbench()?);
        tools::run(command.args(arguments).arg(&database.uri)).await?;
    }
    let path = format!("/v1/databases/{}/usage?granularity=hour", database.id);
    until("usage to be counted", LIMIT, || async {
        let totals = &ada.api.read(&path).await?["totals"];
        let is_held = totals["storage_byte_seconds"] != "0";
        let is_counted = totals["requests"].as_u64() >= Some(2800);
        if is_held && is_counted {
            return Ok(Some(()));
        }
        Err(format!("{totals}").into())
    })
    .await
}

/// The organization's newest invoice of a kind, once it is paid.
async fn invoice_paid(ada: &Account, kind: &str) -> Outcome<Value> {
    let path = format!("/v1/organizations/{}/invoices", ada.organization_id);
    let what = format!("an invoice of the kind `{kind}` to be paid");
    let id = until(&what, LIMIT, || async {
        let invoices = ada.api.read(&path).await?;
        let newest = &invoices["items"][0];
        if newest["kind"] == kind && newest["state"] == "paid" {
            return Ok(Some(text(newest, "/id")?));
        }
        Err(format!("the newest is {newest}").into())
    })
    .await?;
    ada.api.read(&format!("/v1/invoices/{id}")).await
}

pub(crate) async fn now(ada: &Account) -> Outcome<OffsetDateTime> {
    let clock = ada.api.read("/v1/billing-clock").await?;
    Ok(OffsetDateTime::parse(&text(&clock, "/now")?, &Rfc3339)?)
}

/// A month and the start and end of the one after it.
pub(crate) struct Month {
    start: OffsetDateTime,
    pub(crate) end: OffsetDateTime,
    next_end: OffsetDateTime,
}

impl Month {
    pub(crate) fn of(at: OffsetDateTime) -> Outcome<Self> {
        let start = at.date().replace_day(1)?;
        let end = following(start)?;
        Ok(Self {
            start: start.midnight().assume_utc(),
            end: end.midnight().assume_utc(),
            next_end: following(end)?.midnight().assume_utc(),
        })
    }
}

fn following(month: Date) -> Outcome<Date> {
    let some_day = month + time::Duration::days(31);
    Ok(some_day.replace_day(1)?)
}

/// What was counted of each database, hour and meter, as the usage export says it.
type Exported = BTreeMap<(String, i64, String), u64>;

async fn exported(ada: &Account, month: &Month) -> Outcome<Exported> {
    let path = format!(
        "/v1/organizations/{}/usage-export?period={}-{:02}&granularity=hour",
        ada.organization_id,
        month.start.year(),
        u8::from(month.start.month())
    );
    let csv = ada.api.get(&path).await?.expect(200)?.text;
    let mut rows = csv.lines();
    let head: Vec<&str> = rows.next().ok_or("no header")?.split(',').collect();
    let column = |row: &str, name: &str| -> Outcome<String> {
        let index = head.iter().position(|column| *column == name);
        let cell = index.and_then(|index| row.split(',').nth(index));
        Ok(cell
            .ok_or_else(|| format!("no {name} in {row}"))?
            .to_owned())
    };
    rows.map(|row| {
        let start = OffsetDateTime::parse(&column(row, "starts_at")?, &Rfc3339)?;
        let key = (
            column(row, "database_id")?,
            start.unix_timestamp(),
            column(row, "meter")?,
        );
        Ok((key, column(row, "counted")?.parse()?))
    })
    .collect()
}

/// The closing invoice that fractions give; `terms` are plans and since when they are in force.
fn calculate(
    month: &Month,
    terms: [(&str, OffsetDateTime); 2],
    exported: &Exported,
) -> Outcome<Value> {
    let agreement = json!({"fee": null, "included": {}, "prices": {}, "discount": 0, "minimum": 0});
    let terms = terms.map(|(plan, from)| {
        let from_us = from.unix_timestamp_nanos() / 1000;
        json!({"from_us": from_us, "plan": plan, "agreement": agreement})
    });
    let at = OffsetDateTime::unix_timestamp;
    let mut hours = Vec::new();
    let mut spans = Vec::new();
    for ((database, start, meter), counted) in exported {
        let one = |name: &str| if meter == name { *counted } else { 0 };
        if meter == "compute" {
            // One vCPU from the database's creation on: up to the end of its first hour.
            let to = u64::try_from(*start)? * 1_000_000 + HOUR_US;
            spans.push(json!([database, to - counted / MILLI_VCPU, to, MILLI_VCPU]));
            spans.push(json!([database, to - counted % MILLI_VCPU, to, 1]));
        } else {
            hours.push(json!([
                database,
                start,
                one("storage").to_string(),
                one("requests"),
                one("transfer_out"),
                one("vector_operations")
            ]));
        }
    }
    let scenario = json!([{
        "month": [at(month.start), at(month.end)],
        "next_month": [at(month.end), at(month.next_end)],
        "terms": terms,
        "hours": hours, "spans": spans, "hours_later": [], "spans_later": [],
        "spend_cap": null, "credits": [], "tax": 0,
    }]);
    let mut python = Command::new("python3")
        .arg(tools::workspace().join("billing/tests/independent.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = python.stdin.take().ok_or("piped")?;
    stdin.write_all(scenario.to_string().as_bytes())?;
    drop(stdin);
    let done = python.wait_with_output()?;
    let documents: Value = serde_json::from_slice(&done.stdout)?;
    Ok(documents[0]["closing"].clone())
}

/// The lines of an invoice in the words of the second calculation.
fn lines_of(invoice: &Value) -> Outcome<Vec<Value>> {
    let seconds = |line: &Value, name: &str| -> Outcome<i64> {
        Ok(OffsetDateTime::parse(&text(line, name)?, &Rfc3339)?.unix_timestamp())
    };
    let mut lines = Vec::new();
    for line in invoice["lines"].as_array().ok_or("no lines")? {
        let mut out = json!({
            "kind": line["kind"], "from": seconds(line, "/from")?, "to": seconds(line, "/to")?,
            "cents": line["amount_cents"],
        });
        let usage = &line["usage"];
        if let Some(shares) = usage["shares"].as_array() {
            out["kind"] = usage["meter"].clone();
            out["used"] = usage["used"].clone();
            out["billed"] = usage["billed"].clone();
            out["shares"] = shares
                .iter()
                .map(|s| json!([s["database_id"], s["used"], s["billed"], s["amount_cents"]]))
                .collect();
        }
        lines.push(out);
    }
    Ok(lines)
}

fn line_of<'a>(invoice: &'a Value, meter: &str) -> Outcome<&'a Value> {
    let mut lines = invoice["lines"].as_array().ok_or("no lines")?.iter();
    let found = lines.find(|line| line["usage"]["meter"] == meter);
    Ok(found.ok_or_else(|| format!("no line for {meter} in {invoice}"))?)
}

/// The line for requests opens into hours, and an hour into what the node said.
async fn opens_into_samples(ada: &Account, invoice: &Value, database: &Database) -> Outcome<()> {
    // There may be one for the plan of before too, of a second or two.
    let mut lines = invoice["lines"].as_array().ok_or("no lines")?.iter();
    let line = lines
        .rfind(|line| line["usage"]["meter"] == "requests")
        .ok_or("no line for requests")?;
    let id = text(invoice, "/id")?;
    let path = format!(
        "/v1/invoices/{id}/lines/{}/hours?database_id={}",
        line["position"], database.id
    );
    let hours = ada.api.read(&path).await?;
    let shares = line["usage"]["shares"].as_array().ok_or("no shares")?;
    let share = shares
        .iter()
        .find(|share| share["database_id"] == database.id.as_str())
        .ok_or("no share")?;
    assert_eq!(hours["used"], share["used"]);
    let path = format!(
        "/v1/databases/{}/usage/samples?hour={}",
        database.id,
        text(&hours, "/items/0/start")?
    );
    let samples = ada.api.read(&path).await?;
    assert!(!samples["items"][0].is_null(), "no samples: {samples}");
    Ok(())
}
