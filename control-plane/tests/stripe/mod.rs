//! Collecting through Stripe, against the server that stands in for it.

mod cards;
mod crash;
mod faults;
mod invoices;
mod nights;
mod notes;
mod webhooks;
mod world;
