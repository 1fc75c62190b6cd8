//! What holds for every organization in every month.

use crate::independent::scenario;
use crate::support::books;
use crate::support::scenario::Scenario;
use lumadb_billing::rating::{
    Account, ComputeSpan, Line, LineKind, Rated, Terms, corrections, fees_at_change,
    fees_in_advance, forecast, rate,
};
use lumadb_contract::money::Cents;
use proptest::prelude::*;
use proptest::sample::Index;

fn rated(account: &Account, scenario: &Scenario) -> Rated {
    rate(&books(), account, scenario.period).expect("rated")
}

fn sum(lines: &[Line]) -> Cents {
    Cents::checked_sum(lines.iter().map(|line| line.amount)).expect("in range")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn order_and_repetition_of_usage_change_nothing(
        scenario in scenario(),
        picks in prop::collection::vec(any::<Index>(), 1..20)
    ) {
        let account = scenario.account();
        let mut other = account.clone();
        other.usage.hours.reverse();
        other.usage.spans.reverse();
        for pick in picks {
            if !account.usage.hours.is_empty() {
                other.usage.hours.push(*pick.get(&account.usage.hours));
            }
            if !account.usage.spans.is_empty() {
                let at = pick.index(other.usage.spans.len());
                other.usage.spans.insert(at, *pick.get(&account.usage.spans));
            }
        }
        prop_assert_eq!(rated(&account, &scenario), rated(&other, &scenario));
    }

    #[test]
    fn cutting_a_span_changes_nothing(
        scenario in scenario(),
        cuts in prop::collection::vec(any::<Index>(), 6)
    ) {
        let account = scenario.account();
        let mut other = account.clone();
        other.usage.spans.clear();
        for (span, cut) in account.usage.spans.iter().zip(&cuts) {
            let length_us = (span.ended_at - span.started_at).whole_microseconds();
            let length_us = usize::try_from(length_us).expect("forward");
            let offset = i64::try_from(cut.index(length_us)).expect("in range");
            let middle = span.started_at + time::Duration::microseconds(offset);
            other.usage.spans.push(ComputeSpan { ended_at: middle, ..*span });
            other.usage.spans.push(ComputeSpan { started_at: middle, ..*span });
        }
        prop_assert_eq!(rated(&account, &scenario), rated(&other, &scenario));
    }

    #[test]
    fn stating_a_plan_again_changes_nothing(scenario in scenario(), at in any::<Index>()) {
        let account = scenario.account();
        let mut other = account.clone();
        let offset = i64::try_from(at.index(2_400_000)).expect("in range");
        let from = scenario.period.start() + time::Duration::seconds(offset);
        let after = account.terms.iter().filter(|terms| terms.from <= from).count();
        let again = Terms { from, ..account.terms[after - 1].clone() };
        other.terms.insert(after, again);
        prop_assert_eq!(rated(&account, &scenario), rated(&other, &scenario));
        prop_assert_eq!(fees_at_change(&books(), &other.terms[..=after]), Ok(vec![]));
    }

    #[test]
    fn more_usage_never_costs_less(scenario in scenario()) {
        let (less, more) = (scenario.account(), scenario.account_later());
        prop_assert!(rated(&less, &scenario).usage <= rated(&more, &scenario).usage);
    }

    #[test]
    fn the_running_invoice_never_shrinks(scenario in scenario(), until in any::<Index>()) {
        let whole = scenario.account();
        let offset = i64::try_from(until.index(744)).expect("in range");
        let until = scenario.period.start() + time::Duration::hours(offset);
        let mut part = whole.clone();
        part.usage.hours.retain(|hour| hour.starts_at < until);
        part.usage.spans.retain(|span| span.started_at < until);
        for span in &mut part.usage.spans {
            span.ended_at = span.ended_at.min(until);
        }
        prop_assert!(rated(&part, &scenario).usage <= rated(&whole, &scenario).usage);
    }

    #[test]
    fn lines_and_shares_add_up(scenario in scenario()) {
        let rated = rated(&scenario.account_later(), &scenario);
        prop_assert_eq!(sum(&rated.lines), rated.usage);
        for line in &rated.lines {
            let Some(usage) = &line.usage else { continue };
            prop_assert!(matches!(line.kind, LineKind::Usage(meter) if meter == usage.meter));
            prop_assert_eq!(usage.used.get(), usage.included.get() + usage.billed.get());
            let shares = &usage.shares;
            prop_assert_eq!(usage.used.get(), shares.iter().map(|s| s.used.get()).sum::<i128>());
            prop_assert_eq!(usage.billed.get(), shares.iter().map(|s| s.billed.get()).sum::<i128>());
            let cents = Cents::checked_sum(shares.iter().map(|share| share.amount));
            prop_assert_eq!(cents, Some(line.amount));
            for share in shares {
                prop_assert!(0 <= share.billed.get() && share.billed <= share.used);
                prop_assert!(!share.amount.is_negative());
            }
        }
    }

    #[test]
    fn fees_charged_in_advance_are_the_fees_of_the_period(scenario in scenario()) {
        let account = scenario.account();
        let mut lines = Vec::new();
        if account.terms[0].from < scenario.period.start() {
            lines = fees_in_advance(&books(), &account.terms, scenario.period).expect("fees");
        }
        for (index, terms) in account.terms.iter().enumerate() {
            if scenario.period.contains(terms.from) {
                let until = &account.terms[..=index];
                lines.extend(fees_at_change(&books(), until).expect("fees"));
            }
        }
        prop_assert_eq!(sum(&lines), rated(&account, &scenario).fees);
    }

    #[test]
    fn nothing_is_billed_above_the_cap(scenario in scenario()) {
        let mut account = scenario.account_later();
        for terms in &mut account.terms {
            terms.agreement.minimum = Cents::ZERO;
        }
        let cap = account.spend_cap.unwrap_or(Cents::new(5000));
        account.spend_cap = Some(cap);
        let capped = rated(&account, &scenario);
        prop_assert!(capped.cost().expect("in range") <= cap.max(capped.fees));
        prop_assert!(!capped.usage.is_negative());
        account.spend_cap = None;
        let free = rated(&account, &scenario);
        prop_assert!(capped.usage <= free.usage);
        prop_assert!(free.cost().expect("in range") > cap || capped.usage == free.usage);
    }

    #[test]
    fn corrections_make_the_difference_once(scenario in scenario()) {
        let before = rated(&scenario.account(), &scenario);
        let later = rated(&scenario.account_later(), &scenario);
        let lines = corrections(scenario.period, &before.lines, &later.lines).expect("lines");
        prop_assert!(lines.iter().all(|line| line.corrects == Some(scenario.period)));
        let mut billed = before.lines.clone();
        billed.extend(lines);
        prop_assert_eq!(sum(&billed), later.usage);
        let again = corrections(scenario.period, &billed, &later.lines).expect("lines");
        prop_assert_eq!(again, vec![]);
        // And all of it can be taken back.
        let back = corrections(scenario.period, &billed, &before.lines).expect("lines");
        billed.extend(back);
        prop_assert_eq!(sum(&billed), before.usage);
    }

    #[test]
    fn a_forecast_is_no_less_than_today_and_ends_in_the_invoice(
        scenario in scenario(),
        now in any::<Index>()
    ) {
        let account = scenario.account();
        let whole = rated(&account, &scenario);
        let end = scenario.period.end();
        let at_end = forecast(&books(), &account, scenario.period, end).expect("a forecast");
        prop_assert_eq!(&at_end, &whole);
        let offset = i64::try_from(now.index(2_300_000)).expect("in range");
        let now = scenario.period.start() + time::Duration::seconds(offset);
        let mut so_far = account.clone();
        so_far.usage.hours.retain(|hour| hour.starts_at < now);
        so_far.usage.spans.retain(|span| span.started_at < now);
        for span in &mut so_far.usage.spans {
            span.ended_at = span.ended_at.min(now);
        }
        let coming = forecast(&books(), &so_far, scenario.period, now).expect("a forecast");
        prop_assert!(rated(&so_far, &scenario).usage <= coming.usage);
    }

    #[test]
    fn lines_read_back_what_they_wrote(scenario in scenario()) {
        let lines = rated(&scenario.account(), &scenario).lines;
        let text = serde_json::to_string(&lines).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Vec<Line>>(&text).expect("lines"), lines);
    }
}
