//! Documents: what the golden ones say, that HTML and PDF say the same, and that nothing that a
//! customer wrote is more than text. `LUMADB_GOLDEN=write` writes the texts anew;
//! `LUMADB_DOCUMENTS=<folder>` writes every document there, to be looked at.

use crate::support::documents::{self, documents};
use crate::support::scenario::Scenario;
use crate::support::{agrees, books, database, here, pdf_text};
use lumadb_billing::document::{
    Context, Document, HowToPay, Issued, Party, Payment, PlanText, credit_note, invoice,
};
use lumadb_billing::invoice::{CreditNote, CreditedLine, Invoice, InvoiceState};
use lumadb_billing::price_book::PlanId;
use lumadb_billing::rating::Line;
use lumadb_contract::id::{CreditNoteId, DatabaseId};
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// What is around an invoice, as tests change it.
struct Around {
    seller: Party,
    buyer: Party,
    plans: BTreeMap<PlanId, PlanText>,
    databases: BTreeMap<DatabaseId, String>,
    payments: Vec<Payment>,
    credit_notes: Vec<Issued>,
    how_to_pay: HowToPay,
}

const CLOSED_AT: OffsetDateTime = datetime!(2026-12-01 0:00 UTC);

impl Default for Around {
    fn default() -> Self {
        let book = books();
        let book = book
            .at("2026-11".parse().expect("a month"))
            .expect("a book");
        let plans = book.plans.iter().map(|plan| {
            let text = PlanText {
                name: plan.display_name.clone(),
                monthly: plan.fee,
            };
            (plan.id.clone(), text)
        });
        let names = ["orders", "analytics"];
        let databases = (1_u32..)
            .zip(names)
            .map(|(n, name)| (database(n), name.into()));
        Self {
            seller: Party {
                name: "LumaDB Cloud".into(),
                address: vec![
                    "12 Harbor Street".into(),
                    "Dublin, D02 X576".into(),
                    "Ireland".into(),
                ],
                tax_id: Some("VAT IE1234567T".into()),
                email: Some("billing@lumadb.example".into()),
            },
            buyer: Party {
                name: "Ada & Söhne GmbH".into(),
                address: vec![
                    "Hauptstraße 5".into(),
                    "10115 Berlin".into(),
                    "Germany".into(),
                ],
                tax_id: Some("VAT DE123456789".into()),
                email: Some("ada@example.com".into()),
            },
            plans: plans.collect(),
            databases: databases.collect(),
            payments: Vec::new(),
            credit_notes: Vec::new(),
            how_to_pay: HowToPay::Unsaid,
        }
    }
}

impl Around {
    fn context(&self, issued_at: OffsetDateTime) -> Context<'_> {
        Context {
            seller: &self.seller,
            buyer: &self.buyer,
            issued_at,
            due_at: Some(issued_at + Duration::days(14)),
            plans: &self.plans,
            databases: &self.databases,
            payments: &self.payments,
            credit_notes: &self.credit_notes,
            how_to_pay: &self.how_to_pay,
            url: Some("https://cloud.example/billing/invoices"),
        }
    }
}

fn scenario(name: &str) -> Scenario {
    let path = here("golden").join(name).with_extension("toml");
    let text = std::fs::read_to_string(path).expect("a scenario");
    toml::from_str(&text).expect("a scenario")
}

fn closing(name: &str) -> Invoice {
    documents(&scenario(name)).closing
}

fn finalized(mut invoice: Invoice, state: InvoiceState) -> Invoice {
    invoice.finalize(None, CLOSED_AT).expect("final");
    invoice.state = state;
    invoice
}

fn note(invoice: &Invoice, line: usize, cents: i64) -> Issued {
    let id = CreditNoteId::from_uuid(Uuid::from_u128(7));
    let at = datetime!(2026-12-08 9:30 UTC);
    let lines = vec![CreditedLine {
        line,
        amount: Cents::new(cents),
    }];
    let note = CreditNote::issue(id, invoice, &[], lines, None, at).expect("a note");
    Issued { note, at }
}

/// An invoice that corrects the month before it.
fn corrected() -> Invoice {
    let late = documents(&scenario("late_usage"));
    let mut lines = late.closing.lines;
    lines.extend(late.corrections);
    let tax = late.closing.tax;
    Invoice::draft(
        late.closing.id,
        late.closing.organization,
        lines,
        &[],
        tax,
        CLOSED_AT,
    )
    .expect("an invoice")
}

/// Each with a name, its kind of story told once.
fn golden() -> Vec<(&'static str, Document)> {
    let mut documents = owed();
    documents.extend(settled());
    documents
}

/// Of which something is to be paid, or was.
fn owed() -> Vec<(&'static str, Document)> {
    let transfer = Around {
        how_to_pay: HowToPay::Transfer {
            account: vec![
                ("Account holder".into(), "LumaDB Cloud Ltd".into()),
                ("IBAN".into(), "IE29 AIBK 9311 5212 3456 78".into()),
                ("BIC".into(), "AIBKIE2D".into()),
            ],
        },
        ..Around::default()
    };
    let online = Around {
        how_to_pay: HowToPay::Online {
            url: "https://cloud.example/billing".into(),
        },
        ..Around::default()
    };
    let over = finalized(closing("starter_everything_over"), InvoiceState::Final);
    let up = documents(&scenario("up_twice"));
    let (changed_at, change) = up.changes.last().expect("a change").clone();
    let paid = Around {
        payments: vec![Payment {
            at: changed_at + Duration::seconds(4),
            amount: change.totals.total,
            method: "Visa ending in 4242".into(),
        }],
        ..Around::default()
    };
    let taxed = finalized(closing("tax_8_875"), InvoiceState::Overdue);
    let credited = note(&taxed, 0, 100);
    let partly = Around {
        credit_notes: vec![credited.clone()],
        how_to_pay: HowToPay::Charged {
            method: "Visa ending in 4242".into(),
        },
        ..Around::default()
    };
    vec![
        (
            "due_by_transfer",
            invoice(&over, &transfer.context(CLOSED_AT)),
        ),
        (
            "plan_change_paid",
            invoice(
                &finalized(change, InvoiceState::Paid),
                &paid.context(changed_at),
            ),
        ),
        (
            "three_plans",
            invoice(
                &finalized(up.closing, InvoiceState::Final),
                &online.context(CLOSED_AT),
            ),
        ),
        (
            "overdue_partly_credited",
            invoice(&taxed, &partly.context(CLOSED_AT)),
        ),
        (
            "credit_note",
            credit_note(&credited, &taxed, &partly.context(CLOSED_AT)),
        ),
    ]
}

/// Of which nothing is to be paid, or not yet.
fn settled() -> Vec<(&'static str, Document)> {
    let around = Around::default();
    vec![
        (
            "paid_by_credits",
            invoice(
                &finalized(closing("credits_expire"), InvoiceState::Paid),
                &around.context(CLOSED_AT),
            ),
        ),
        (
            "draft",
            invoice(&closing("payg_discount"), &around.context(CLOSED_AT)),
        ),
        (
            "void",
            invoice(
                &finalized(closing("cap_reached"), InvoiceState::Void),
                &around.context(CLOSED_AT),
            ),
        ),
        (
            "corrections",
            invoice(&corrected(), &around.context(CLOSED_AT)),
        ),
        (
            "nothing",
            invoice(
                &finalized(closing("zero_free"), InvoiceState::Paid),
                &around.context(CLOSED_AT),
            ),
        ),
    ]
}

fn pdf(document: &Document) -> Vec<u8> {
    let pdf = document.pdf().expect("a PDF");
    assert_eq!(
        document.pdf().as_ref(),
        Ok(&pdf),
        "the same bytes each time"
    );
    pdf
}

/// Writes it where somebody wants to look at it.
fn show(name: &str, document: &Document) {
    if let Some(folder) = std::env::var_os("LUMADB_DOCUMENTS") {
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(path.with_extension("html"), document.html()).expect("written");
        std::fs::write(path.with_extension("pdf"), pdf(document)).expect("written");
    }
}

/// What a browser shows of HTML, without spaces.
fn shown(html: &str) -> String {
    let body = html.split("</head>").nth(1).expect("a body");
    let mut text = String::new();
    let mut inside = false;
    for one in body.chars() {
        match one {
            '<' => inside = true,
            '>' => inside = false,
            one if !inside && !one.is_whitespace() => text.push(one),
            _ => {}
        }
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
    ];
    for (entity, one) in entities {
        text = text.replace(entity, one);
    }
    text.replace("&amp;", "&")
}

#[test]
fn documents_say_what_was_promised() {
    let mut wrong = Vec::new();
    for (name, document) in golden() {
        show(name, &document);
        let made = pdf_text::text(&pdf(&document));
        if !agrees(&here("documents").join(name).with_extension("txt"), &made) {
            wrong.push(format!("{name}:\n{made}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "not what was promised. If the change is meant, run with LUMADB_GOLDEN=write.\n\n{}",
        wrong.join("\n")
    );
}

#[test]
fn html_and_pdf_say_the_same() {
    for (name, document) in golden() {
        let html = document.html();
        let shown = shown(&html);
        for line in pdf_text::text(&pdf(&document)).lines() {
            let line: String = line.split_whitespace().collect();
            // Page numbers, and headings that are for one of the two alone.
            if line.starts_with("Page") || shown.contains(&line) {
                continue;
            }
            let repeated = ["Day", "Used", "Included", "Billed"];
            assert!(
                repeated.contains(&line.as_str()),
                "{name}: {line} is not in {shown}"
            );
        }
        assert!(html.contains("<html lang=\"en\">") && html.contains("default-src 'none'"));
        for outside in ["<script", "<link", "<img", "src=", "url(", "@import"] {
            assert!(!html.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn what_a_customer_wrote_is_text_and_nothing_else() {
    let hostile = "</td><script>alert(1)</script> \u{202e}gro\u{0}.elpmaxe\u{202c} \"'&lt;";
    let buyer = Party {
        name: hostile.into(),
        address: vec![
            hostile.into(),
            "株式会社ルーマ 東京都千代田区".into(),
            "한국".into(),
        ],
        tax_id: Some("שלום עולם".into()),
        email: Some("Ωμέγα Жизнь ấ e\u{301}".into()),
    };
    let mut around = Around {
        buyer,
        payments: vec![Payment {
            at: CLOSED_AT,
            amount: Cents::new(1),
            method: hostile.into(),
        }],
        how_to_pay: HowToPay::Online {
            url: format!("https://cloud.example/?a=(\\{hostile}"),
        },
        ..Around::default()
    };
    around.databases.insert(database(1), hostile.repeat(40));
    let invoiced = finalized(closing("starter_everything_over"), InvoiceState::Final);
    let document = invoice(&invoiced, &around.context(CLOSED_AT));
    show("hostile", &document);
    let html = document.html();
    assert!(!html.contains("<script"));
    assert_eq!(html.matches("</main>").count(), 1);
    assert!(
        !html
            .chars()
            .any(|one| ('\u{202a}'..='\u{202e}').contains(&one))
    );
    assert!(!html.contains('\u{0}'));
    let text = pdf_text::text(&pdf(&document));
    for kept in [
        "</td><script>alert(1)</script>",
        "株式会社ルーマ 東京都千代田区",
        "한국",
        "שלום עולם",
        "Ωμέγα Жизнь ấ é",
    ] {
        assert!(text.contains(kept), "{kept} is not in {text}");
        assert!(shown(&html).contains(&kept.replace(' ', "")), "{kept}");
    }
}

#[test]
fn five_hundred_lines_go_over_pages_and_none_is_lost() {
    let one = closing("starter_everything_over").lines;
    let lines: Vec<Line> = one.iter().cycle().take(500).cloned().collect();
    let invoiced = documents::drafted(lines);
    let mut around = Around::default();
    for number in 1..=2 {
        around
            .databases
            .insert(database(number), format!("database-{number}"));
    }
    let document = invoice(
        &finalized(invoiced, InvoiceState::Final),
        &around.context(CLOSED_AT),
    );
    show("long", &document);
    let pdf = pdf(&document);
    let pages = pdf_text::pages(&pdf);
    assert!(pages.len() > 20, "{}", pages.len());
    let count = pages.len();
    for (index, page) in pages.iter().enumerate() {
        let number = format!("Page {} of {count}", index + 1);
        assert!(page.lines.contains(&number), "{number}");
        assert!(page.lines.len() > 3, "page {} is empty", index + 1);
    }
    let text = pdf_text::text(&pdf);
    let mut lines = text.lines();
    for position in 1..=500_u32 {
        let position = position.to_string();
        assert!(lines.any(|line| line == position), "line {position}");
    }
    // Fonts are embedded once, with what is used of them.
    assert!(pdf.len() < 400_000, "{} bytes", pdf.len());
}
