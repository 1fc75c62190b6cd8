//! A second calculation of everything, in Python's fractions, written from the catalogue alone.

use crate::golden::scenarios;
use crate::support::documents::documents;
use crate::support::here;
use crate::support::scenario::{Grant, PlanFrom, Scenario, Use};
use lumadb_billing::exact::Ppm;
use lumadb_billing::invoice::Invoice;
use lumadb_billing::rating::{Account, Agreement, Line, LineKind};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Cents, Money};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// Random scenarios that are calculated twice.
const RANDOM: usize = 300;

#[test]
fn golden_invoices_are_what_fractions_give() {
    let scenarios: Vec<(String, Scenario)> = scenarios()
        .into_iter()
        .map(|(path, scenario)| (path.display().to_string(), scenario))
        .collect();
    compare(&scenarios);
}

#[test]
fn random_invoices_are_what_fractions_give() {
    let mut runner = TestRunner::deterministic();
    let strategy = scenario();
    let scenarios: Vec<(String, Scenario)> = (0..RANDOM)
        .map(|index| {
            let scenario = strategy
                .new_tree(&mut runner)
                .expect("a scenario")
                .current();
            (format!("random {index}"), scenario)
        })
        .collect();
    compare(&scenarios);
}

fn compare(scenarios: &[(String, Scenario)]) {
    let inputs: Vec<Value> = scenarios
        .iter()
        .map(|(_, scenario)| input(scenario))
        .collect();
    let theirs = calculate(&inputs);
    assert_eq!(theirs.len(), scenarios.len());
    for ((name, scenario), theirs) in scenarios.iter().zip(theirs) {
        let ours = output(scenario);
        assert!(
            ours == theirs,
            "{name}: {scenario:#?}\nours: {ours:#}\ntheirs: {theirs:#}"
        );
    }
}

fn calculate(inputs: &[Value]) -> Vec<Value> {
    let mut python = Command::new("python3")
        .arg(here("independent.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 on the PATH");
    let mut stdin = python.stdin.take().expect("piped");
    let text = serde_json::to_vec(inputs).expect("JSON");
    stdin.write_all(&text).expect("python reads");
    drop(stdin);
    let done = python.wait_with_output().expect("python ends");
    assert!(done.status.success(), "the independent calculation failed");
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn us(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).expect("in range")
}

fn input(scenario: &Scenario) -> Value {
    let account = scenario.account();
    let later = scenario.account_later();
    let terms = account.terms.iter().map(|terms| {
        json!({
            "from_us": us(terms.from),
            "plan": terms.plan,
            "agreement": terms.agreement,
        })
    });
    let credits = scenario.credits();
    let credits = credits.iter().map(|credit| {
        let expires = credit.expires_at.map(OffsetDateTime::unix_timestamp);
        json!([credit.id, credit.remaining, expires])
    });
    let following = scenario.period.following().expect("a period");
    let month = |period: lumadb_billing::period::Period| {
        json!([
            period.start().unix_timestamp(),
            period.end().unix_timestamp()
        ])
    };
    json!({
        "month": month(scenario.period),
        "next_month": month(following),
        "terms": terms.collect::<Vec<_>>(),
        "hours": hours(&account),
        "spans": spans(&account),
        "hours_later": hours(&later),
        "spans_later": spans(&later),
        "spend_cap": account.spend_cap,
        "credits": credits.collect::<Vec<_>>(),
        "tax": scenario.tax.unwrap_or_default(),
    })
}

fn hours(account: &Account) -> Vec<Value> {
    let hours = account.usage.hours.iter().map(|hour| {
        json!([
            hour.database,
            hour.starts_at.unix_timestamp(),
            hour.storage_byte_us.to_string(),
            hour.requests,
            hour.transfer_out_bytes,
            hour.vector_operations,
        ])
    });
    hours.collect()
}

fn spans(account: &Account) -> Vec<Value> {
    let spans = account.usage.spans.iter().map(|span| {
        json!([
            span.database,
            us(span.started_at),
            us(span.ended_at),
            span.milli_vcpu
        ])
    });
    spans.collect()
}

fn output(scenario: &Scenario) -> Value {
    let documents = documents(scenario);
    let changes = documents.changes.iter().map(|(_, change)| invoice(change));
    let mut corrections: Vec<(String, i64, i64, i64)> = documents
        .corrections
        .iter()
        .map(|line| {
            let (from, to) = (line.from.unix_timestamp(), line.to.unix_timestamp());
            (name(line.kind), from, to, line.amount.get())
        })
        .collect();
    corrections.sort();
    json!({
        "changes": changes.collect::<Vec<_>>(),
        "closing": invoice(&documents.closing),
        "corrections": corrections,
    })
}

fn invoice(invoice: &Invoice) -> Value {
    let credits = invoice.credits.iter();
    json!({
        "lines": invoice.lines.iter().map(line).collect::<Vec<_>>(),
        "credits": credits.map(|used| json!([used.credit, used.amount])).collect::<Vec<_>>(),
        "net": invoice.totals.net,
        "tax": invoice.totals.tax,
        "total": invoice.totals.total,
    })
}

fn line(line: &Line) -> Value {
    let mut value = json!({
        "kind": name(line.kind),
        "from": line.from.unix_timestamp(),
        "to": line.to.unix_timestamp(),
        "cents": line.amount,
    });
    if let Some(usage) = &line.usage {
        value["used"] = json!(usage.used);
        value["billed"] = json!(usage.billed);
        let shares = usage.shares.iter();
        let shares = shares.map(|s| json!([s.database, s.used, s.billed, s.amount]));
        value["shares"] = shares.collect();
    }
    value
}

fn name(kind: LineKind) -> String {
    match kind {
        LineKind::Usage(meter) => meter.name().to_owned(),
        LineKind::Fee => "fee".to_owned(),
        LineKind::FeeUnused => "fee_unused".to_owned(),
        LineKind::Covered => "covered".to_owned(),
        LineKind::Discount => "discount".to_owned(),
        LineKind::AboveCap => "above_cap".to_owned(),
        LineKind::Minimum => "minimum".to_owned(),
    }
}

/// Any organization in a month of 28 to 31 days: plans that change, agreements, caps, credits, and
/// databases that come, go, overlap and write into the past.
pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    let months = vec!["2026-11", "2026-12", "2027-02", "2028-02"];
    (
        prop::sample::select(months),
        prop::collection::vec((0_i64..2_700_000_000, plan()), 0..4),
        (any::<bool>(), plan()),
        prop::collection::vec(steady(), 0..6),
        prop::collection::vec(steady(), 0..3),
        prop::option::of((0_i64..200_000).prop_map(Cents::new)),
        prop::collection::vec((0_i64..20_000, prop::option::of(-3_i64..3)), 0..3),
        prop::option::of((0_u32..=300_000).prop_map(|ppm| Ppm::try_from(ppm).expect("rate"))),
    )
        .prop_map(
            |(month, mut changes, first, used, late, spend_cap, grants, tax)| {
                let period: lumadb_billing::period::Period = month.parse().expect("month");
                let start = period.start();
                // Everybody has a plan since the month before, so that all usage falls under one.
                let begun = start
                    - if first.0 {
                        Duration::days(9)
                    } else {
                        Duration::ZERO
                    };
                changes.sort_by_key(|(after_ms, _)| *after_ms);
                let changes = changes
                    .into_iter()
                    .map(|(after_ms, plan)| (start + Duration::milliseconds(after_ms), plan));
                let terms = std::iter::once((begun, first.1)).chain(changes);
                let at = |used: Vec<(i64, Use)>| {
                    let moved = used.into_iter().map(|(after_ms, one)| {
                        let length = one.to - one.from;
                        let from = start + Duration::milliseconds(after_ms);
                        Use {
                            from,
                            to: from + length,
                            ..one
                        }
                    });
                    moved.collect::<Vec<_>>()
                };
                let mut credits = Vec::new();
                for (credit, (remaining, days)) in (1..).zip(grants) {
                    credits.push(Grant {
                        credit,
                        remaining: Cents::new(remaining),
                        expires_at: days.map(|days| period.end() + Duration::days(days)),
                    });
                }
                Scenario {
                    about: "random".to_owned(),
                    period,
                    terms: terms
                        .map(|(from, (plan, agreement))| PlanFrom {
                            from,
                            plan,
                            agreement,
                        })
                        .collect(),
                    used: at(used),
                    late: at(late),
                    spend_cap,
                    credits,
                    tax,
                }
            },
        )
}

fn plan() -> impl Strategy<Value = (String, Agreement)> {
    let plans = vec![
        "free",
        "pro-payg",
        "pro-starter",
        "pro-growth",
        "pro-scale",
        "enterprise",
    ];
    (
        prop::sample::select(plans),
        prop::option::weighted(0.3, 0_i64..300_000),
        prop::option::weighted(
            0.3,
            (
                prop::sample::select(Meter::ALL.to_vec()),
                0_i128..50_000_000,
            ),
        ),
        prop::option::weighted(0.3, 0_u32..=1_000_000),
        prop::option::weighted(0.3, 0_i64..100_000),
    )
        .prop_map(|(plan, fee, price, discount, minimum)| {
            let fee = fee.or((plan == "enterprise").then_some(150_000));
            let agreement = Agreement {
                fee: fee.map(Cents::new),
                prices: price
                    .into_iter()
                    .map(|(meter, units)| (meter, Money::from_units(units)))
                    .collect(),
                included: std::collections::BTreeMap::new(),
                discount: Ppm::try_from(discount.unwrap_or_default()).expect("a share"),
                minimum: Cents::new(minimum.unwrap_or_default()),
            };
            (plan.to_owned(), agreement)
        })
}

/// Begins so many milliseconds after the month's start, and may last beyond its end.
fn steady() -> impl Strategy<Value = (i64, Use)> {
    (
        (0_i64..2_600_000_000, 1_i64..3_000_000_000),
        1_u32..5,
        prop::sample::select(vec![0_u32, 250, 1000, 4000, 16_000]),
        prop_oneof![Just(0_u64), 0_u64..5_000_000_000_000],
        prop_oneof![Just(0_u64), 0_u64..3_000_000],
        prop_oneof![Just(0_u64), 0_u64..2_000_000_000],
        prop_oneof![Just(0_u64), 0_u64..200_000],
    )
        .prop_map(
            |((after_ms, length_ms), database, milli_vcpu, bytes, requests, transfer, vectors)| {
                let from = datetime!(2026-11-01 0:00 UTC);
                let one = Use {
                    database,
                    from,
                    to: from + Duration::milliseconds(length_ms),
                    milli_vcpu,
                    storage_bytes: bytes,
                    requests_per_hour: requests,
                    transfer_bytes_per_hour: transfer,
                    vectors_per_hour: vectors,
                };
                (after_ms, one)
            },
        )
}
