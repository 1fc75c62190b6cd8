//! The tests across processes: one binary, since linking is slow on small machines.

mod away;
mod bad_input;
mod billing_drill;
mod browser;
mod control;
mod counting;
mod dependencies;
mod drills;
mod edge_abuse;
mod first_steps;
mod importing;
mod in_place;
mod invoicing;
mod killed;
mod kms;
mod kubernetes;
mod limits;
mod logs;
mod mail;
mod master_key;
mod operator;
mod oracle;
mod readme;
mod region;
mod restoring;
mod starting;
