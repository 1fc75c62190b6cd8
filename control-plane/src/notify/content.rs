//! What our mails say.

use crate::notify::layout::{Layout, render};
use lumadb_contract::id::{InvoiceId, OrganizationId};
use serde::{Deserialize, Serialize};

/// A mail that is ready to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// Whose PDF goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<MailedInvoice>,
}

/// An invoice that a mail is about: its document is made when the mail leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailedInvoice {
    pub organization: OrganizationId,
    pub id: InvoiceId,
}

/// Asks the owner of an address to prove it.
pub fn verify_email(to: &str, name: &str, url: &str) -> Mail {
    mail(
        to,
        "Verify your e-mail address",
        &Layout {
            name,
            lead: "Welcome to LumaDB Cloud. Verify your e-mail address, and your first database \
                   is seconds away.",
            button: "Verify e-mail address",
            url,
            note: "The link works once and for 24 hours. If you did not sign up, do not open it: \
                   nothing happens without you.",
        },
    )
}

/// Lets somebody set a new password.
pub fn reset_password(to: &str, name: &str, url: &str) -> Mail {
    mail(
        to,
        "Set a new password",
        &Layout {
            name,
            lead: "Somebody, hopefully you, asked for a new password for your LumaDB Cloud \
                   account.",
            button: "Set a new password",
            url,
            note: "The link works once and for one hour. If it was not you, ignore this mail: \
                   your password stays as it is.",
        },
    )
}

/// Tells the owner of an account that somebody signed up with its address.
pub fn account_exists(to: &str, name: &str, console_url: &str) -> Mail {
    mail(
        to,
        "You already have an account",
        &Layout {
            name,
            lead: "Somebody, hopefully you, signed up at LumaDB Cloud with this address. It has \
                   an account already: just log in.",
            button: "Log in",
            url: &format!("{console_url}/log-in"),
            note: "If you do not remember your password, you can set a new one there. If it was \
                   not you, ignore this mail.",
        },
    )
}

/// Tells that a password was changed by a mailed link.
pub fn password_changed(to: &str, name: &str, console_url: &str) -> Mail {
    mail(
        to,
        "Your password was changed",
        &Layout {
            name,
            lead: "The password of your LumaDB Cloud account was changed, and you were logged \
                   out everywhere.",
            button: "Log in",
            url: &format!("{console_url}/log-in"),
            note: "If it was not you, set a new password at once: somebody can read your mails.",
        },
    )
}

/// Tells that a password was changed by somebody who knew it.
pub fn password_replaced(to: &str, name: &str, console_url: &str) -> Mail {
    mail(
        to,
        "Your password was changed",
        &Layout {
            name,
            lead: "The password of your LumaDB Cloud account was changed in the console, and \
                   every other session of yours was ended.",
            button: "It was not me: set another password",
            url: &format!("{console_url}/forgot-password"),
            note: "If it was you, there is nothing to do. If not, set another password at once: \
                   somebody knew the one that you had.",
        },
    )
}

/// What a mail of an invoice says.
#[derive(Debug)]
pub struct InvoiceMail<'a> {
    pub number: &'a str,
    /// Dollars.
    pub total: &'a str,
    /// The day on which it is due; `None`: nothing is to be paid.
    pub due: Option<&'a str>,
    /// It is charged to a card.
    pub by_card: bool,
    pub url: &'a str,
}

/// Tells that an invoice is there.
pub fn invoice_final(to: &str, name: &str, invoice: &InvoiceMail<'_>) -> Mail {
    let InvoiceMail { number, total, .. } = invoice;
    let lead = match (invoice.due, invoice.by_card) {
        (None, _) => format!("Your invoice {number} is there. Nothing is to be paid for it."),
        (Some(_), true) => {
            format!("Your invoice {number} over ${total} is there. We charge your card for it.")
        }
        (Some(due), false) => format!(
            "Your invoice {number} over ${total} is there. Please transfer the amount by {due} \
             and name the invoice."
        ),
    };
    mail(
        to,
        &format!("Invoice {number}"),
        &Layout {
            name,
            lead: &lead,
            button: "Open the invoice",
            url: invoice.url,
            note: "Every line of it opens into the hours that it is made of.",
        },
    )
}

/// Tells that an invoice was not paid when it was due.
pub fn invoice_overdue(
    to: &str,
    name: &str,
    number: &str,
    outstanding: &str,
    suspension: &str,
    url: &str,
) -> Mail {
    let lead = format!(
        "Your invoice {number} is overdue: ${outstanding} of it are not paid. Unless they are by \
         {suspension}, we suspend your databases."
    );
    mail(
        to,
        &format!("Invoice {number} is overdue"),
        &Layout {
            name,
            lead: &lead,
            button: "Open the invoice",
            url,
            note: "If you have paid in the last days, there is nothing to do.",
        },
    )
}

/// Tells that databases stand still because an invoice is not paid.
pub fn suspended(to: &str, name: &str, number: &str, url: &str) -> Mail {
    let lead = format!(
        "Your invoice {number} was not paid, so that we had to suspend your databases. Nothing of \
         them is deleted: once the invoice is paid, they go on by themselves."
    );
    mail(
        to,
        "Your databases are suspended",
        &Layout {
            name,
            lead: &lead,
            button: "Open the invoice",
            url,
            note: "If something is wrong with the invoice, answer this mail.",
        },
    )
}

/// Tells that a change of plan was not made.
pub fn plan_kept(to: &str, name: &str, plan: &str, excess: &str, url: &str) -> Mail {
    let lead = format!(
        "Your change to the plan {plan} was due, and we did not make it: you have {excess}"
    );
    mail(
        to,
        "Your plan was not changed",
        &Layout {
            name,
            lead: &lead,
            button: "Open billing",
            url,
            note: "Your plan goes on as it is. Make room, then change it again.",
        },
    )
}

/// Tells that the backups of a database could not be restored when that was tried.
pub fn drill_failed(to: &str, name: &str, database: &str, url: &str) -> Mail {
    mail(
        to,
        "A restore drill failed",
        &Layout {
            name,
            lead: &format!(
                "We restored the backups of your database \u{201c}{database}\u{201d} to see whether \
                 they are good, and that failed. The database itself goes on."
            ),
            button: "See what is wrong",
            url,
            note: "Our operators know and look into it. Until then, back the database up once \
                   more: a new backup does not rest on the ones that failed.",
        },
    )
}

/// Tells that a database lost its disk and came back from its archive. `until` is when all that was
/// committed before had been archived, in words.
pub fn recovered(to: &str, name: &str, database: &str, until: Option<&str>, url: &str) -> Mail {
    let kept = match until {
        Some(until) => format!(
            "Everything that was committed until {until} is there. What was committed after that \
             is lost unless the database waits for its archive (durability \u{201c}s3\u{201d})."
        ),
        None => "Everything that had been archived is there.".to_owned(),
    };
    mail(
        to,
        &format!("Your database {database} lost its disk and is back"),
        &Layout {
            name,
            lead: &format!(
                "The data of your database \u{201c}{database}\u{201d} was lost with its disk. We \
                 restored it from its archive, and it runs again. {kept}"
            ),
            button: "Open the database",
            url,
            note: "Its address, roles and passwords are what they were; there is nothing to do.",
        },
    )
}

/// Tells that a database lost its disk and does not come back by itself.
pub fn recovery_failed(to: &str, name: &str, database: &str, why: &str, url: &str) -> Mail {
    mail(
        to,
        &format!("Your database {database} lost its disk"),
        &Layout {
            name,
            lead: &format!(
                "The data of your database \u{201c}{database}\u{201d} was lost with its disk, and we \
                 could not restore it: {why}."
            ),
            button: "Open the database",
            url,
            note: "Our operators know and look into it. Where there are backups, you can restore an \
                   earlier moment into a new database.",
        },
    )
}

pub(super) fn mail(to: &str, subject: &str, layout: &Layout<'_>) -> Mail {
    let (text, html) = render(subject, layout);
    Mail {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text,
        html,
        invoice: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_holds_its_link_in_both_forms_and_escapes_names() {
        let url = "http://127.0.0.1:8400/verify?token=abc";
        let mail = verify_email("ada@example.com", "<b>Ada</b> & co", url);
        assert!(mail.text.contains(url));
        assert!(mail.text.contains("<b>Ada</b> & co"));
        assert!(mail.html.contains(&format!("href=\"{url}\"")));
        assert!(mail.html.contains("&lt;b&gt;Ada&lt;/b&gt; &amp; co"));
        assert!(!mail.html.contains("<b>Ada"));
    }
}
