//! From usage to an invoice of which every line can be explained: values in, values out.
//!
//! - [`price_book`]: what is sold, for how much, with what limits, since when. Data, in versions.
//! - [`rating`]: usage and a price book to lines; drafts, forecasts, corrections, quotes.
//! - [`invoice`]: lines to an invoice with credits and tax, its states and its number; credit notes.
//! - [`document`]: invoices and credit notes as HTML and PDF.
//! - [`export`]: costs by FOCUS and usage, as CSV.
//! - [`ledger`]: what invoices, payments and notes mean for the books.
//! - `stripe`: the client of who collects the money; the one part that does I/O.
//!
//! Invariants:
//! - But in `stripe` no I/O; no clock, no random number, no float for what is counted or paid. The
//!   same values give the same cents, always.
//! - Every amount is multiplied out first, divided once and rounded once ([`exact`]). A total is the
//!   sum of rounded lines, and what is split up adds up again.
//! - Nothing here decides by a plan's name: a plan is data.
//!
//! It must not know tables, nodes, or how the API is asked; but for `stripe`, not who collects the
//! money either.

pub mod document;
pub mod exact;
pub mod export;
pub mod invoice;
pub mod ledger;
pub mod period;
pub mod price_book;
pub mod rating;
#[cfg(feature = "stripe")]
pub mod stripe;
