//! Tests of billing as a whole: one binary, a module for each way to look at it.

mod catalogue;
mod documents;
mod estimates;
mod exports;
mod golden;
mod independent;
mod ledger;
mod properties;
mod refusals;
mod stripe;
mod support;
