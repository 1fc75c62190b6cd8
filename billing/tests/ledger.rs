//! The books over whole lives of invoices.

use crate::support::documents::documents;
use crate::support::scenario::Scenario;
use lumadb_billing::invoice::{CreditNote, CreditedLine, Invoice, InvoiceState};
use lumadb_billing::ledger::{Entry, Ledger, LedgerAccount, LedgerError, Posted};
use lumadb_contract::id::CreditNoteId;
use lumadb_contract::money::Cents;
use proptest::prelude::*;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

const AT: OffsetDateTime = datetime!(2026-12-01 3:00 UTC);

/// 29.00 and 5.00, less a credit of 10.00, and 19 % on the rest: 28.56.
fn invoice() -> Invoice {
    let text = std::fs::read_to_string(crate::support::here("golden/credit_smaller.toml"));
    let scenario: Scenario = toml::from_str(&text.expect("a scenario")).expect("a scenario");
    let mut invoice = documents(&scenario).closing;
    invoice.finalize(None, AT).expect("final");
    invoice
}

fn balances(ledger: &Ledger, invoice: &Invoice) -> [i64; 5] {
    LedgerAccount::ALL.map(|account| {
        let balance = ledger.balance(invoice.organization, account);
        balance.expect("in range").get()
    })
}

fn note(invoice: &Invoice, cents: i64) -> CreditNote {
    let id = CreditNoteId::from_uuid(Uuid::from_u128(7));
    let lines = vec![CreditedLine {
        line: 1,
        amount: Cents::new(cents),
    }];
    CreditNote::issue(id, invoice, &[], lines, None, AT).expect("a note")
}

#[test]
fn an_invoice_is_owed_paid_credited_and_refunded() {
    let invoice = invoice();
    let mut ledger = Ledger::default();
    let owed = Entry::invoice_final(&invoice, AT).expect("an entry");
    assert_eq!(ledger.post(owed.clone()), Ok(Posted::New));
    // Receivable, revenue, tax, cash, credits.
    assert_eq!(balances(&ledger, &invoice), [2856, -3400, -456, 0, 1000]);
    assert_eq!(ledger.post(owed), Ok(Posted::Already));
    let paid = Entry::payment(&invoice, "pay_1", Cents::new(2856), AT).expect("an entry");
    assert_eq!(ledger.post(paid), Ok(Posted::New));
    assert_eq!(ledger.outstanding(invoice.id), Some(Cents::ZERO));
    // A tenth of a fee of 29.00, with its tax.
    let note = note(&invoice, 290);
    assert_eq!((note.net, note.tax), (Cents::new(290), Cents::new(55)));
    let credited = Entry::credit_note(&invoice, &note, AT).expect("an entry");
    assert_eq!(ledger.post(credited), Ok(Posted::New));
    assert_eq!(ledger.outstanding(invoice.id), Some(Cents::new(-345)));
    let refunded = Entry::refund(&invoice, "ref_1", Cents::new(345), AT).expect("an entry");
    assert_eq!(ledger.post(refunded), Ok(Posted::New));
    assert_eq!(balances(&ledger, &invoice), [0, -3110, -401, 2511, 1000]);
    assert_eq!(ledger.entries().len(), 4);
}

#[test]
fn what_comes_again_with_another_amount_is_refused() {
    let invoice = invoice();
    let mut ledger = Ledger::default();
    let pay = |cents| Entry::payment(&invoice, "pay_1", Cents::new(cents), AT);
    assert_eq!(ledger.post(pay(100).expect("an entry")), Ok(Posted::New));
    let other = ledger.post(pay(101).expect("an entry"));
    assert!(matches!(other, Err(LedgerError::Differs(_))), "{other:?}");
    assert!(pay(0).is_err() && pay(-1).is_err());
    assert_eq!(ledger.entries().len(), 1);
}

#[test]
fn a_void_invoice_leaves_nothing_behind() {
    let mut invoice = invoice();
    let mut ledger = Ledger::default();
    let owed = Entry::invoice_final(&invoice, AT).expect("an entry");
    assert_eq!(ledger.post(owed), Ok(Posted::New));
    invoice.state = invoice
        .state
        .moved_to(InvoiceState::Void)
        .expect("a legal move");
    let void = Entry::invoice_void(&invoice, AT).expect("an entry");
    assert_eq!(ledger.post(void), Ok(Posted::New));
    assert_eq!(balances(&ledger, &invoice), [0; 5]);
    assert!(invoice.number.is_some());
}

#[test]
fn totals_that_contradict_each_other_are_not_booked() {
    let mut invoice = invoice();
    invoice.totals.tax = Cents::new(1);
    let entry = Entry::invoice_final(&invoice, AT);
    assert!(
        matches!(entry, Err(LedgerError::Unbalanced { .. })),
        "{entry:?}"
    );
}

proptest! {
    #[test]
    fn the_books_sum_to_zero_whatever_happens_in_whatever_order_and_twice(
        payments in prop::collection::vec((0_u8..6, 1_i64..5000), 0..12),
        credited in 1_i64..2900,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40)
    ) {
        let invoice = invoice();
        let mut entries = vec![Entry::invoice_final(&invoice, AT).expect("an entry")];
        let net = credited.min(2400);
        entries.push(Entry::credit_note(&invoice, &note(&invoice, net), AT).expect("an entry"));
        for (name, cents) in payments {
            let (name, cents) = (format!("{name}"), Cents::new(cents));
            entries.push(Entry::payment(&invoice, &name, cents, AT).expect("an entry"));
            entries.push(Entry::refund(&invoice, &name, cents, AT).expect("an entry"));
        }
        let mut ledger = Ledger::default();
        for index in order {
            let entry = index.get(&entries).clone();
            let known = ledger.entries().iter().any(|known| known.key() == entry.key());
            let posted = ledger.post(entry);
            prop_assert_eq!(known, posted != Ok(Posted::New));
            prop_assert_eq!(balances(&ledger, &invoice).iter().sum::<i64>(), 0);
        }
    }
}
