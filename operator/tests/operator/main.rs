//! The operator without a cluster: what is admitted, what is built, what is decided.

mod admission;
mod crds;
mod life;
mod objects;
mod restarts;
mod support;
mod world;
