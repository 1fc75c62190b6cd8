mod cards;
mod faults;
mod invoices;
mod keys;
mod webhooks;
mod world;
