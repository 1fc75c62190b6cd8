//! The next step of an invoice at Stripe, from how it stands there. Pure.

use lumadb_billing::stripe::Invoice;

/// What is sent of an invoice, in cents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) number: String,
    pub(super) subtotal: i64,
    pub(super) tax: i64,
    pub(super) total: i64,
}

/// A request that moves it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    AddLines,
    SetNumber,
    Finalize,
    Pay,
}

impl Step {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::AddLines => "add_lines",
            Self::SetNumber => "set_number",
            Self::Finalize => "finalize",
            Self::Pay => "pay",
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Send(Step),
    /// It is paid: nothing is to be sent any more.
    Paid,
    /// Somebody must look.
    Stuck(String),
}

/// `None`: Stripe has no such invoice.
pub(super) fn next(owed: &Owed, shown: Option<&Invoice>) -> Next {
    let Some(shown) = shown else {
        return Next::Send(Step::Create);
    };
    if !shown.is("draft")
        && let Some(wrong) = difference(owed, shown)
    {
        return Next::Stuck(wrong);
    }
    match shown.status.as_deref() {
        Some("draft") if shown.lines.data.is_empty() => Next::Send(Step::AddLines),
        Some("draft") if shown.number.as_deref() != Some(&owed.number) => {
            Next::Send(Step::SetNumber)
        }
        // Nothing is charged that differs from the ledger by a cent.
        Some("draft") => match difference(owed, shown) {
            Some(wrong) => Next::Stuck(wrong),
            None => Next::Send(Step::Finalize),
        },
        Some("open") => Next::Send(Step::Pay),
        Some("paid") => Next::Paid,
        Some(other) => Next::Stuck(format!("it is {other} at Stripe")),
        None => Next::Stuck("it has no status at Stripe".into()),
    }
}

fn difference(owed: &Owed, shown: &Invoice) -> Option<String> {
    let pairs = [
        ("subtotal", owed.subtotal, shown.subtotal),
        ("tax", owed.tax, shown.tax()),
        ("total", owed.total, shown.total),
    ];
    let wrong = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
    wrong.map(|(what, ours, theirs)| {
        format!("its {what} is {theirs} cents at Stripe and {ours} cents here")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owed() -> Owed {
        Owed {
            number: "INV-2026-000001".into(),
            subtotal: 2500,
            tax: 222,
            total: 2722,
        }
    }

    fn shown(change: impl FnOnce(&mut serde_json::Value)) -> Invoice {
        let mut shown = json!({
            "id": "in_1", "customer": "cus_1", "status": "draft", "number": null,
            "subtotal": 2500, "total_excluding_tax": 2500, "total": 2722, "amount_due": 2722,
            "amount_paid": 0, "amount_remaining": 2722, "attempt_count": 0,
            "pre_payment_credit_notes_amount": 0, "post_payment_credit_notes_amount": 0,
            "hosted_invoice_url": null, "lines": {"data": [{"id": "il_1"}]}, "metadata": {},
        });
        change(&mut shown);
        Invoice::parse(&shown.to_string()).expect("an invoice")
    }

    #[test]
    fn an_invoice_goes_one_step_after_the_other() {
        let next = |change: &dyn Fn(&mut serde_json::Value)| next(&owed(), Some(&shown(change)));
        assert_eq!(super::next(&owed(), None), Next::Send(Step::Create));
        let empty = next(&|s| {
            s["lines"]["data"] = json!([]);
            s["total"] = 0.into();
        });
        assert_eq!(empty, Next::Send(Step::AddLines));
        assert_eq!(next(&|_| {}), Next::Send(Step::SetNumber));
        let numbered = next(&|s| s["number"] = "INV-2026-000001".into());
        assert_eq!(numbered, Next::Send(Step::Finalize));
        assert_eq!(
            next(&|s| s["status"] = "open".into()),
            Next::Send(Step::Pay)
        );
        assert_eq!(next(&|s| s["status"] = "paid".into()), Next::Paid);
        assert!(matches!(
            next(&|s| s["status"] = "void".into()),
            Next::Stuck(_)
        ));
    }

    #[test]
    fn a_cent_of_difference_stops_it() {
        for field in ["subtotal", "total_excluding_tax", "total"] {
            for status in ["draft", "open", "paid"] {
                let shown = shown(|s| {
                    s["number"] = "INV-2026-000001".into();
                    s["status"] = status.into();
                    s[field] = (s[field].as_i64().expect("cents") + 1).into();
                });
                let next = next(&owed(), Some(&shown));
                assert!(matches!(next, Next::Stuck(_)), "{field} {status}: {next:?}");
            }
        }
    }
}
