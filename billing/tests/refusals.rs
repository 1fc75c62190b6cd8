//! What cannot be rated is refused, and says what is wrong.

use crate::support::{books, database, incarnation};
use lumadb_billing::rating::{
    Account, Agreement, ComputeSpan, RatingError, Terms, Usage, UsageHour, fees_at_change, rate,
};
use lumadb_contract::meter::Meter;
use lumadb_contract::money::{Cents, Money};
use time::OffsetDateTime;
use time::macros::datetime;

const START: OffsetDateTime = datetime!(2026-11-05 0:00 UTC);

fn terms(plan: &str, from: OffsetDateTime) -> Terms {
    Terms {
        from,
        plan: plan.parse().expect("an identifier"),
        agreement: Agreement::default(),
    }
}

fn hour(starts_at: OffsetDateTime, requests: u64) -> UsageHour {
    UsageHour {
        database: database(1),
        starts_at,
        storage_byte_us: 0,
        requests,
        transfer_out_bytes: 0,
        vector_operations: 0,
    }
}

fn span(started_at: OffsetDateTime, ended_at: OffsetDateTime) -> ComputeSpan {
    ComputeSpan {
        database: database(1),
        incarnation: incarnation(1),
        started_at,
        ended_at,
        milli_vcpu: 1000,
    }
}

fn refused(terms: Vec<Terms>, hours: Vec<UsageHour>, spans: Vec<ComputeSpan>) -> RatingError {
    let account = Account {
        terms,
        usage: Usage { hours, spans },
        spend_cap: None,
    };
    let period = "2026-11".parse().expect("a month");
    rate(&books(), &account, period).expect_err("refused")
}

#[test]
fn usage_without_a_plan_is_refused() {
    let payg = || vec![terms("pro-payg", START)];
    let early = START - time::Duration::HOUR;
    for error in [
        refused(vec![], vec![hour(START, 1)], vec![]),
        refused(payg(), vec![hour(early, 1)], vec![]),
        refused(
            payg(),
            vec![],
            vec![span(early, START + time::Duration::HOUR)],
        ),
    ] {
        assert!(matches!(error, RatingError::NoPlan { .. }), "{error}");
    }
}

#[test]
fn usage_that_contradicts_itself_is_refused() {
    let payg = || vec![terms("pro-payg", START)];
    let at = |hours| START + time::Duration::hours(hours);
    assert!(matches!(
        refused(payg(), vec![hour(START, 1), hour(START, 2)], vec![]),
        RatingError::HoursDiffer { .. }
    ));
    assert!(matches!(
        refused(
            payg(),
            vec![hour(START + time::Duration::MINUTE, 1)],
            vec![]
        ),
        RatingError::NotAnHour { .. }
    ));
    assert!(matches!(
        refused(payg(), vec![], vec![span(at(2), at(1))]),
        RatingError::SpanReversed { .. }
    ));
    assert!(matches!(
        refused(payg(), vec![], vec![span(at(0), at(2)), span(at(1), at(3))]),
        RatingError::SpansOverlap { .. }
    ));
    let huge = UsageHour {
        storage_byte_us: u128::MAX,
        ..hour(START, 0)
    };
    assert_eq!(refused(payg(), vec![huge], vec![]), RatingError::OutOfRange);
}

#[test]
fn plans_that_cannot_be_are_refused() {
    let later = START + time::Duration::DAY;
    assert!(matches!(
        refused(
            vec![terms("free", later), terms("pro-payg", START)],
            vec![],
            vec![]
        ),
        RatingError::TermsUnordered { .. }
    ));
    assert!(matches!(
        refused(vec![terms("gold", START)], vec![], vec![]),
        RatingError::Book(_)
    ));
    let without_fee = refused(vec![terms("enterprise", START)], vec![], vec![]);
    assert!(
        matches!(without_fee, RatingError::NoFee(_)),
        "{without_fee}"
    );
    let old = terms("free", datetime!(2020-01-01 0:00 UTC));
    assert!(matches!(
        fees_at_change(&books(), &[old]),
        Err(RatingError::Book(_))
    ));
}

#[test]
fn an_agreement_below_zero_is_refused() {
    let negative = [
        Agreement {
            fee: Some(Cents::new(-1)),
            ..Agreement::default()
        },
        Agreement {
            minimum: Cents::new(-1),
            ..Agreement::default()
        },
        Agreement {
            prices: [(Meter::Storage, Money::from_units(-1))].into(),
            ..Agreement::default()
        },
    ];
    for agreement in negative {
        let terms = Terms {
            agreement,
            ..terms("pro-payg", START)
        };
        assert!(matches!(
            refused(vec![terms], vec![], vec![]),
            RatingError::NegativeAgreement { .. }
        ));
    }
}
