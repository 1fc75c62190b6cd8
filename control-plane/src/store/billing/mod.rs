//! Tables of billing: who pays and how, plans by spans of time, invoices, and the books.
//!
//! What is final is only added to: the application has no right to change a line, a credit note or
//! an entry of the ledger.

pub mod clock;
pub mod close;
pub mod credit;
pub mod credit_note;
pub mod customer;
pub mod document;
pub mod hold;
pub mod invoice;
pub mod ledger;
pub mod number;
pub mod plan_change;
pub mod subscription;
pub mod usage;
