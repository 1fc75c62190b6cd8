//! The PostgreSQL server process of an instance, and what is applied inside it.
//!
//! Two processes use this folder, under different users. The *helper* (`lumadb-node engine`, the
//! user that owns the data folder) prepares data folders and starts, stops, restarts and adopts
//! PostgreSQL; it holds no secret. The node tells it what to do over a socket and applies roles and
//! logical databases by SQL, as PostgreSQL's superuser, which is reachable through a socket folder
//! that only those two users may enter.
//!
//! Invariants:
//! - PostgreSQL outlives both: the helper ends it when told, never because the node went away, and
//!   adopts it if the helper itself was killed;
//! - a data folder has one postmaster at a time;
//! - everything applied is compared first and can be applied again, from anywhere on the way;
//! - what a tenant made by SQL is never removed.
//!
//! This folder knows nothing of protocols, metering or the parent.

mod admin;
mod at_rest;
mod config;
mod directory;
mod extensions;
mod helper;
mod helper_protocol;
mod instance_dir;
mod output;
mod postmaster;
mod prepare;
mod template;
mod tenancy;
mod vectors;
mod verify;
mod write_limit;

pub use admin::{AdminError, AdminSession, EngineIdentity};
pub use at_rest::AtRest;
pub use config::{Change, ConfigFiles, Machine, Settings};
pub use directory::{EngineDir, EngineDirError};
pub use extensions::{Extension, SetupError, engine_setup, extensions};
pub use helper::{HelperError, helper_run};
pub use helper_protocol::{
    Command, EnginePhase, EngineReport, FrameError, Order, frame_read, frame_write,
};
pub use instance_dir::{InstanceDir, InstanceDirError};
pub(crate) use postmaster::{EngineEvent, Postmaster};
pub use postmaster::{PostmasterError, StopMode};
pub use prepare::{PrepareError, Stage, prepare, prepare_once};
pub use tenancy::{ApplyError, tenancy_apply};
pub use vectors::{VectorCounts, vector_counts};
pub(crate) use verify::verify;
pub use write_limit::{WriteLimit, WriteStage};
