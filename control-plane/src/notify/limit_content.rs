//! What mails of limits, spend caps and budgets say.

use super::content::{Mail, mail};
use super::layout::Layout;

/// What a mail of a limit says.
#[derive(Debug)]
pub struct LimitMail<'a> {
    /// Such as `requests`.
    pub meter: &'a str,
    /// The limit with its unit.
    pub limit: &'a str,
    /// 80 or 100.
    pub percent: i16,
    /// What it limits is held, not used up.
    pub is_storage: bool,
}

/// Tells that much, or all, of a limit is used.
pub fn limit_reached(to: &str, name: &str, said: &LimitMail<'_>, url: &str) -> Mail {
    let LimitMail {
        meter,
        limit,
        percent,
        is_storage,
    } = said;
    let is_all = *percent >= 100;
    let subject = if is_all {
        format!("Your {meter} limit is reached")
    } else {
        format!("{percent} % of your {meter} limit is used")
    };
    let what_follows = match (is_all, is_storage) {
        (false, _) => "Nothing is different yet.",
        (true, true) => {
            "Rows cannot grow now. Reading, deleting and dropping work, and writing works again \
             once there is space."
        }
        (true, false) => {
            "Commands are answered with the error \"quota exceeded\" until the limit begins anew. \
             Connections stay open."
        }
    };
    let lead = format!(
        "The databases of your organization have used {percent} % of what its plan allows: \
         {limit}. {what_follows}"
    );
    mail(
        to,
        &subject,
        &Layout {
            name,
            lead: &lead,
            button: "See usage and upgrade",
            url,
            note: "An upgrade lifts the limit at once. Nothing is ever deleted for being over a \
                   limit. You get this mail once a month for each limit.",
        },
    )
}

/// What a mail of spending says; amounts in dollars.
#[derive(Debug)]
pub enum SpendMail<'a> {
    CapNear { cap: &'a str, left: &'a str },
    CapUsed { cap: &'a str },
    BudgetCrossed { budget: &'a str, cost: &'a str },
}

/// Tells that a spend cap is nearly used, or used, or a budget crossed.
pub fn spend(to: &str, name: &str, said: &SpendMail<'_>, url: &str) -> Mail {
    let (subject, lead, note) = match said {
        SpendMail::CapNear { cap, left } => (
            format!("Your spend cap of ${cap} is nearly used"),
            format!(
                "Of the spend cap of ${cap}, ${left} are left for this month, with the storage that \
                 your databases hold set aside to the month's end. Once nothing is left, they \
                 become read-only, and then fall asleep one after the other, in your order."
            ),
            "To keep them writing, raise the cap. Nothing above it is billed.",
        ),
        SpendMail::CapUsed { cap } => (
            format!("Your spend cap of ${cap} is used"),
            format!(
                "What your organization used this month, with the storage that it holds to the \
                 month's end, has reached its spend cap of ${cap}. Its databases are read-only \
                 now, and then fall asleep one after the other, in your order. Nothing is deleted, \
                 and nothing above the cap is billed."
            ),
            "Raise the cap, and everything is back within a minute. Otherwise it comes back with \
             the next month.",
        ),
        SpendMail::BudgetCrossed { budget, cost } => (
            format!("Your budget of ${budget} is crossed"),
            format!(
                "Fees and usage of this month have come to ${cost}, which is more than the budget \
                 of ${budget} at which you asked to be told. Nothing else changes."
            ),
            "To stop spending at an amount, set a spend cap.",
        ),
    };
    mail(
        to,
        &subject,
        &Layout {
            name,
            lead: &lead,
            button: "See usage and costs",
            url,
            note,
        },
    )
}
