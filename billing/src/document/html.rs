//! A document as one HTML page: to be read in a browser, attached to a mail, printed.

use super::content::{Block, DayTable, Document, Fact, Row, Section, Tone};
use std::fmt::Write as _;

const STYLE: &str = include_str!("sheet.css");

/// Lets nothing in but the page's own style.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'";

const MARK: &str = "<svg class=\"mark\" viewBox=\"0 0 32 32\" fill=\"none\" aria-hidden=\"true\">\
    <path d=\"M7 14.5a9 9 0 0 1 18 0z\" fill=\"#f0a91e\"/>\
    <g stroke=\"currentColor\" stroke-width=\"2.6\" stroke-linecap=\"round\">\
    <path d=\"M4.5 18.5c0 2.6 5.1 4.6 11.5 4.6s11.5-2 11.5-4.6\"/>\
    <path d=\"M4.5 24c0 2.6 5.1 4.6 11.5 4.6s11.5-2 11.5-4.6\"/></g></svg>";

impl Document {
    /// The whole page. It asks for nothing and runs nothing.
    pub fn html(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        let title = escape(&self.title());
        let _ = write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
             <title>{title} \u{b7} {}</title><style>{STYLE}</style></head>\n<body><main>",
            escape(&self.seller.name)
        );
        self.write_head(&mut out);
        self.write_lines(&mut out);
        self.write_sums(&mut out);
        self.write_end(&mut out);
        out.push_str("</main></body></html>\n");
        out
    }

    fn write_head(&self, out: &mut String) {
        let _ = write!(
            out,
            "<header><p class=\"seller\">{MARK}<bdi>{}</bdi></p><div class=\"title\"><h1>{}</h1>",
            escape(&self.seller.name),
            escape(self.title)
        );
        if let Some(stamp) = self.stamp {
            let _ = write!(
                out,
                "<p class=\"stamp {}\">{}</p>",
                tone(stamp.tone),
                stamp.text
            );
        }
        out.push_str("</div></header>\n");
        write_facts(out, "facts", &self.facts);
        out.push_str("<div class=\"parties\">");
        write_block(out, &self.seller);
        write_block(out, &self.buyer);
        let _ = writeln!(
            out,
            "</div>\n<p class=\"headline\"><strong>{}</strong> <span>{}</span></p>",
            escape(&self.headline.value),
            escape(&self.headline.label)
        );
    }

    fn write_lines(&self, out: &mut String) {
        out.push_str(
            "<table class=\"lines\"><caption>Lines</caption><thead><tr><th scope=\"col\">\
             <span class=\"unseen\">Line</span></th><th scope=\"col\">Description</th>\
             <th scope=\"col\" class=\"number\">Quantity</th>\
             <th scope=\"col\" class=\"number\">Unit price</th>\
             <th scope=\"col\" class=\"number\">Amount</th></tr></thead>\n",
        );
        for section in &self.sections {
            write_section(out, section);
        }
        if self.sections.is_empty() {
            out.push_str(
                "<tbody><tr><td></td><td colspan=\"4\">Nothing was used, and nothing is to be \
                 paid.</td></tr></tbody>",
            );
        }
        out.push_str("</table>\n");
    }

    fn write_sums(&self, out: &mut String) {
        out.push_str("<table class=\"sums\"><caption>Total</caption><tbody>");
        for sum in &self.sums {
            let _ = write!(
                out,
                "<tr{}><th scope=\"row\"><bdi>{}</bdi></th><td>{}</td></tr>",
                if sum.strong { " class=\"strong\"" } else { "" },
                escape(&sum.label),
                escape(&sum.amount)
            );
        }
        out.push_str("</tbody></table>\n");
    }

    fn write_end(&self, out: &mut String) {
        if !self.payment.is_empty() {
            out.push_str("<section class=\"payment\"><h2>How to pay</h2>");
            write_facts(out, "pay", &self.payment);
            out.push_str("</section>\n");
        }
        if !self.remarks.is_empty() {
            out.push_str("<section class=\"remarks\"><h2>Good to know</h2>");
            for remark in &self.remarks {
                let _ = write!(out, "<p>{}</p>", escape(remark));
            }
            out.push_str("</section>\n");
        }
        if !self.days.is_empty() {
            out.push_str("<section class=\"days\"><h2>Days above what a day includes</h2>");
            for table in &self.days {
                write_days(out, table);
            }
            out.push_str("</section>\n");
        }
        let _ = write!(out, "<footer>{}</footer>", escape(&self.foot()));
    }
}

const fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Calm => "calm",
    }
}

fn write_facts(out: &mut String, class: &str, facts: &[Fact]) {
    let _ = write!(out, "<dl class=\"{class}\">");
    for fact in facts {
        let _ = write!(
            out,
            "<div><dt>{}</dt><dd><bdi>{}</bdi></dd></div>",
            escape(&fact.label),
            escape(&fact.value)
        );
    }
    out.push_str("</dl>\n");
}

fn write_block(out: &mut String, block: &Block) {
    let _ = write!(
        out,
        "<section><h2>{}</h2><p class=\"name\"><bdi>{}</bdi></p>",
        block.heading,
        escape(&block.name)
    );
    for line in &block.lines {
        let _ = write!(out, "<p><bdi>{}</bdi></p>", escape(line));
    }
    out.push_str("</section>");
}

fn write_section(out: &mut String, section: &Section) {
    let _ = write!(
        out,
        "<tbody><tr class=\"section\"><th scope=\"rowgroup\" colspan=\"5\"><bdi>{}</bdi></th></tr>",
        escape(&section.title)
    );
    for row in &section.rows {
        write_row(out, row);
    }
    out.push_str("</tbody>\n");
}

fn write_row(out: &mut String, row: &Row) {
    let _ = write!(
        out,
        "<tr class=\"line\"><td class=\"position\">{}</td><th scope=\"row\"><bdi>{}</bdi>",
        row.position,
        escape(&row.title)
    );
    for sentence in &row.explained {
        let _ = write!(out, "<span class=\"explained\">{}</span>", escape(sentence));
    }
    let _ = write!(
        out,
        "</th><td class=\"number\">{}</td><td class=\"number\">{}</td>\
         <td class=\"number amount\">{}</td></tr>",
        escape(&row.quantity),
        escape(&row.unit_price),
        escape(&row.amount)
    );
    for part in &row.parts {
        let _ = write!(
            out,
            "<tr class=\"part\"><td></td><td><bdi>{}</bdi></td><td class=\"number\">{}</td>\
             <td></td><td class=\"number\">{}</td></tr>",
            escape(&part.name),
            escape(&part.quantity),
            escape(&part.amount)
        );
    }
}

fn write_days(out: &mut String, table: &DayTable) {
    let _ = write!(
        out,
        "<table><caption>{}</caption><thead><tr><th scope=\"col\">Day</th>\
         <th scope=\"col\" class=\"number\">Used</th><th scope=\"col\" class=\"number\">Included\
         </th><th scope=\"col\" class=\"number\">Billed</th></tr></thead><tbody>",
        escape(&table.title)
    );
    for day in &table.days {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td></tr>",
            escape(&day.date),
            escape(&day.used),
            escape(&day.included),
            escape(&day.billed)
        );
    }
    out.push_str("</tbody></table>\n");
}

/// Text as it may stand in HTML, in an attribute too.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
