//! Quotes and forecasts, calculated by hand.

use crate::support::scenario::{Use, usage};
use crate::support::{books, database};
use lumadb_billing::period::Period;
use lumadb_billing::price_book::PlanId;
use lumadb_billing::rating::{
    Account, Agreement, LineKind, Quote, Standing, Terms, Usage, cap_standing, difference,
    forecast, quote, rate,
};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::Cents;
use time::OffsetDateTime;
use time::macros::datetime;

const GB: u64 = 1_000_000_000;

fn november() -> Period {
    "2026-11".parse().expect("a month")
}

fn plan(id: &str) -> PlanId {
    id.parse().expect("an identifier")
}

fn standing(number: u32, milli_vcpu: u32, storage_bytes: u64) -> Standing {
    Standing {
        database: database(number),
        milli_vcpu,
        storage_bytes,
        requests: 0,
        transfer_out_bytes: 0,
        vector_operations: 0,
    }
}

fn cost(id: &str, databases: &[Standing]) -> Cents {
    let asked = Quote {
        plan: &plan(id),
        agreement: &Agreement::default(),
        databases,
    };
    let rated = quote(&books(), &asked, november()).expect("a quote");
    rated.cost().expect("in range")
}

#[test]
fn a_quote_is_fee_and_usage_of_a_whole_month() {
    // One vCPU: 720 hours at 5 cents. 50 GB: 5 dollars. The fee of 29 covers the first of it.
    assert_eq!(
        cost("pro-payg", &[standing(1, 1000, 50 * GB)]),
        Cents::new(4100)
    );
    assert_eq!(cost("pro-payg", &[]), Cents::new(2900));
    assert_eq!(
        cost("pro-starter", &[standing(1, 1000, 50 * GB)]),
        Cents::new(2900)
    );
    assert_eq!(cost("free", &[standing(1, 250, GB)]), Cents::ZERO);
    let busy = Standing {
        requests: 600_000_000,
        transfer_out_bytes: 300 * GB,
        vector_operations: 15_000_000,
        ..standing(1, 0, 0)
    };
    // On each day 10 million requests more than included, 200 GB more, 5 million vectors more.
    assert_eq!(
        cost("pro-starter", &[busy]),
        Cents::new(2900 + 3000 + 1000 + 100)
    );
}

#[test]
fn a_change_costs_the_difference_of_two_months() {
    let (before, after) = ([standing(1, 1000, 0)], [standing(1, 2000, 0)]);
    let starter = plan("pro-starter");
    let agreement = Agreement::default();
    let asked = |plan, databases| Quote {
        plan,
        agreement: &agreement,
        databases,
    };
    let change = |from: &Quote<'_>, to: &Quote<'_>| {
        let change = difference(&books(), from, to, november()).expect("a difference");
        assert_eq!(
            Some(change.monthly),
            change
                .after
                .cost()
                .expect("in range")
                .checked_sub(change.before.cost().expect("in range"))
        );
        change.monthly
    };
    let (small, large) = (asked(&starter, &before[..]), asked(&starter, &after[..]));
    assert_eq!(change(&small, &large), Cents::new(3600));
    assert_eq!(change(&large, &small), Cents::new(-3600));
    let growth = plan("pro-growth");
    // 199 dollars with 4 vCPU included, instead of 29 and 36.
    assert_eq!(
        change(&large, &asked(&growth, &after[..])),
        Cents::new(13_400)
    );
    assert_eq!(change(&small, &small), Cents::ZERO);
}

fn steady(number: u32, from: OffsetDateTime, to: OffsetDateTime) -> Use {
    Use {
        database: number,
        from,
        to,
        milli_vcpu: 1000,
        storage_bytes: 500 * GB,
        requests_per_hour: 1_000_000,
        transfer_bytes_per_hour: GB,
        vectors_per_hour: 50_000,
    }
}

fn payg(used: &[Use]) -> Account {
    Account {
        terms: vec![Terms {
            from: datetime!(2026-10-01 0:00 UTC),
            plan: plan("pro-payg"),
            agreement: Agreement::default(),
        }],
        usage: usage(used),
        spend_cap: None,
    }
}

#[test]
fn steady_use_is_forecast_to_the_cent() {
    let end = november().end();
    let whole = payg(&[steady(1, datetime!(2026-10-20 0:00 UTC), end)]);
    let whole = rate(&books(), &whole, november()).expect("rated");
    for now in [
        november().start(),
        datetime!(2026-11-01 5:00 UTC),
        datetime!(2026-11-20 13:00 UTC),
    ] {
        let account = payg(&[steady(1, datetime!(2026-10-20 0:00 UTC), now)]);
        let coming = forecast(&books(), &account, november(), now).expect("a forecast");
        assert_eq!(coming.lines, whole.lines, "{now}");
    }
}

#[test]
fn a_forecast_goes_by_each_databases_own_age() {
    let now = datetime!(2026-11-21 0:00 UTC);
    let born = datetime!(2026-11-20 0:00 UTC);
    let account = payg(&[steady(1, born, now)]);
    let coming = forecast(&books(), &account, november(), now).expect("a forecast");
    let line = |meter| {
        let found = coming
            .lines
            .iter()
            .find(|line| line.kind == LineKind::Usage(meter));
        found.map(|line| line.amount)
    };
    // Eleven of thirty days: 264 vCPU-hours, 183.33 GB-months, 264 million requests.
    assert_eq!(line(Meter::Compute), Some(Cents::new(1320)));
    assert_eq!(line(Meter::Storage), Some(Cents::new(1833)));
    assert_eq!(line(Meter::Requests), Some(Cents::new(2640)));
    assert_eq!(line(Meter::TransferOut), Some(Cents::new(1320)));
    // 13.2 million.
    assert_eq!(line(Meter::VectorOperations), Some(Cents::new(264)));
}

#[test]
fn a_database_that_stopped_is_forecast_by_its_last_week() {
    let now = datetime!(2026-11-21 0:00 UTC);
    let gone = payg(&[steady(
        1,
        november().start(),
        datetime!(2026-11-10 0:00 UTC),
    )]);
    let coming = forecast(&books(), &gone, november(), now).expect("a forecast");
    let so_far = rate(&books(), &gone, november()).expect("rated");
    assert_eq!(coming, so_far);
}

#[test]
fn a_cap_sets_aside_fee_and_storage() {
    let now = datetime!(2026-11-11 0:00 UTC);
    let mut account = payg(&[Use {
        milli_vcpu: 2000,
        storage_bytes: 600 * GB,
        requests_per_hour: 0,
        transfer_bytes_per_hour: 0,
        vectors_per_hour: 0,
        ..steady(1, november().start(), now)
    }]);
    let stored = [(database(1), 600 * GB)];
    let standing = |account: &Account, stored: &[_]| {
        let standing = cap_standing(&books(), account, stored, november(), now);
        standing.expect("rated").map(|s| (s.committed, s.left))
    };
    assert_eq!(standing(&account, &stored), None);
    account.spend_cap = Some(Cents::new(10_000));
    // 600 GB to the month's end are 60 dollars, 480 vCPU-hours so far 24; the fee covers 29 of both.
    assert_eq!(
        standing(&account, &stored),
        Some((Cents::new(8400), Cents::new(1600)))
    );
    // Deleting all of it gives back two thirds.
    assert_eq!(
        standing(&account, &[]),
        Some((Cents::new(4400), Cents::new(5600)))
    );
    account.spend_cap = Some(Cents::new(8000));
    assert_eq!(
        standing(&account, &stored),
        Some((Cents::new(8400), Cents::ZERO))
    );
    let is_used = |account: &Account, stored: &[_]| {
        let standing = cap_standing(&books(), account, stored, november(), now);
        standing.expect("rated").is_some_and(|s| s.is_used)
    };
    assert!(is_used(&account, &stored));
    // A cap of the fee alone leaves what the fee pays for.
    let fee_alone = Account {
        usage: Usage::default(),
        spend_cap: Some(Cents::new(2900)),
        ..account.clone()
    };
    assert!(!is_used(&fee_alone, &[]));
    // A minimum that is not reached is no usage.
    account.terms[0].agreement.minimum = Cents::new(50_000);
    assert_eq!(
        standing(&account, &stored),
        Some((Cents::new(8400), Cents::ZERO))
    );
}
