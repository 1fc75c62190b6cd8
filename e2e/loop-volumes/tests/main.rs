//! The driver as a program, asked over its sockets as provisioner, resizer and kubelet ask.

mod controller;
mod node;
mod world;
