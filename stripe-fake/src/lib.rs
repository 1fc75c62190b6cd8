//! A server that answers as Stripe does, for clouds and tests that reach no Stripe.
//!
//! It keeps state, so that an upgrade can be clicked through with a test card: customers, cards,
//! Checkout in setup mode, the Customer Portal, invoices, credit notes, refunds, disputes, balance
//! transactions and events, with idempotency keys and signed webhooks. On demand it is as bad as a
//! network (`faults`): 429, 500, 502 with HTML, an answer that is lost after the work was done,
//! webhooks that come twice, late, in another order or never.
//!
//! What its objects look like comes from Stripe's published API description (`shapes.json` holds
//! the fields that each must have). Parameters that it does not know are refused, so that a request
//! is never half understood. It moves no money and must not know who calls it.

mod cards;
mod clock;
mod error;
pub mod faults;
mod form;
mod page;
mod params;
mod resource;
mod server;
mod shapes;
mod state;
mod webhook;

pub use clock::Clock;
pub use server::{Config, Fake, ServeError, serve};
pub use webhook::signature;
