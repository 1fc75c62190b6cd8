//! Invoices and credit notes as documents that people read, print and keep: HTML and PDF.
//!
//! [`invoice`] and [`credit_note`] say in words what a document has to say; how that looks is known
//! by [`html`](Document::html) and [`pdf`](Document::pdf) alone, so that both say the same.
//!
//! Invariants:
//! - The same values give the same bytes. A document can be made anew whenever it is asked for.
//! - Whatever somebody else wrote (names, addresses) is text, never markup, and stays on its line.
//! - The HTML needs nothing but itself: no script, no file, no font. The PDF carries its fonts.
//!
//! It must not know where parties, names and payments come from.

mod content;
mod credit_note;
mod html;
mod invoice;
mod line;
mod party;
mod pdf;
mod words;

pub use content::Document;
pub use credit_note::credit_note;
pub use invoice::invoice;
pub use party::{Context, HowToPay, Issued, Party, Payment, PlanText};
pub use pdf::PdfError;
