//! The outbox as a page.

use crate::notify::LocalMail;
use crate::notify::layout::escape;
use std::fmt::Write as _;
use time::macros::format_description;

const STYLE: &str = include_str!("outbox.css");

/// Newest first, each mail as its reader would see it.
pub(super) fn render(mails: &[LocalMail]) -> String {
    let mut list = String::new();
    for mail in mails {
        write_mail(&mut list, mail);
    }
    if mails.is_empty() {
        list.push_str("<p class=\"empty\">No mail yet. Reload after signing up.</p>");
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>Outbox · LumaDB Cloud</title><style>{STYLE}</style></head><body><main>\
         <header><h1>Outbox</h1><p>This cloud has no mail server: what it would send lies \
         here.</p></header>{list}</main></body></html>"
    )
}

fn write_mail(out: &mut String, mail: &LocalMail) {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let at = mail.sent_at.format(&format).unwrap_or_default();
    let body = mail.text.lines().map(linked).collect::<Vec<_>>().join("\n");
    let _ = write!(
        out,
        "<article><h2>{}</h2><p class=\"meta\"><span>To {}</span><time>{at}</time></p>\
         <div class=\"body\">{body}</div></article>",
        escape(&mail.subject),
        escape(&mail.to),
    );
}

/// A line that is an address becomes a link.
fn linked(line: &str) -> String {
    let text = escape(line);
    if line.starts_with("http://") || line.starts_with("https://") {
        format!("<a href=\"{text}\">{text}</a>")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::id::OutboxId;
    use time::macros::datetime;

    #[test]
    fn links_can_be_clicked_and_nothing_else_of_a_mail_is_markup() {
        let mail = LocalMail {
            id: OutboxId::from_uuid(uuid::Uuid::nil()),
            to: "ada@example.com".into(),
            subject: "<i>Hello</i>".into(),
            text: "Hello <script>,\n\nhttp://127.0.0.1:8400/verify?token=a&b\n".into(),
            html: String::new(),
            sent_at: datetime!(2026-11-23 12:00 UTC),
        };
        let page = render(&[mail]);
        let link = "http://127.0.0.1:8400/verify?token=a&amp;b";
        assert!(page.contains(&format!("<a href=\"{link}\">{link}</a>")));
        assert!(!page.contains("<script>") && !page.contains("<i>"));
        assert!(page.contains("2026-11-23 12:00:00 UTC"));
        assert!(render(&[]).contains("No mail yet"));
    }
}
