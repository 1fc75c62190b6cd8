//! The tests across processes: one binary, since linking is slow on small machines.

mod dependencies;
