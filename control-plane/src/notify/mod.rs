//! Mail: what it says, and how it leaves.
//!
//! A mail is a row of the outbox, written in the transaction of the change that causes it, and sent
//! after the commit: at least once, under the row's own identifier as `Message-ID`, so that one
//! sent twice is recognized. What was sent is forgotten: it may hold a secret link.
//!
//! It must not decide who gets a mail.

pub mod content;
pub(crate) mod layout;
pub mod limit_content;
mod sender;
mod transport;

pub use content::{Mail, MailedInvoice};
pub use sender::{run, send_due};
pub use transport::{Attached, LocalMail, Transport, TransportError, read_local};
