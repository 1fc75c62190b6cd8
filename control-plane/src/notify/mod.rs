//! Mail: what is written into the outbox, and how it is sent.
