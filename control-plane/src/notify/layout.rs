//! The one shape of our mails: greeting, a sentence, a button, a note.

/// Parts of a mail.
#[derive(Debug)]
pub(crate) struct Layout<'a> {
    pub name: &'a str,
    pub lead: &'a str,
    pub button: &'a str,
    pub url: &'a str,
    pub note: &'a str,
}

/// Plain text and HTML. Styles stand at the elements: mail programs drop style sheets.
pub(crate) fn render(title: &str, layout: &Layout<'_>) -> (String, String) {
    let Layout {
        name,
        lead,
        button,
        url,
        note,
    } = layout;
    let text =
        format!("Hello {name},\n\n{lead}\n\n{button}:\n{url}\n\n{note}\n\n-- \nLumaDB Cloud\n");
    let (title, name, lead) = (escape(title), escape(name), escape(lead));
    let (button, url, note) = (escape(button), escape(url), escape(note));
    let html = format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="margin:0;background:#faf9f6;font-family:-apple-system,'Segoe UI',Roboto,sans-serif;color:#1d1a14">
<div style="max-width:520px;margin:32px auto;background:#ffffff;border:1px solid #e6e2d9;border-radius:12px;padding:32px">
<p style="margin:0 0 24px;font-size:15px;font-weight:600;letter-spacing:.01em">LumaDB Cloud</p>
<h1 style="margin:0 0 16px;font-size:22px;line-height:1.3">{title}</h1>
<p style="margin:0 0 12px;font-size:15px;line-height:1.6">Hello {name},</p>
<p style="margin:0 0 24px;font-size:15px;line-height:1.6">{lead}</p>
<p style="margin:0 0 24px"><a href="{url}" style="display:inline-block;background:#211d16;color:#ffffff;text-decoration:none;font-size:15px;font-weight:600;padding:12px 20px;border-radius:8px">{button}</a></p>
<p style="margin:0 0 16px;font-size:13px;line-height:1.6;color:#5c564a">{note}</p>
<p style="margin:0;font-size:12px;line-height:1.6;color:#716a5c;word-break:break-all">{url}</p>
</div></body></html>
"#
    );
    (text, html)
}

/// Text as it may stand in HTML, in an attribute too.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
