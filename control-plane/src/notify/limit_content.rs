//! What mails of limits say.

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
