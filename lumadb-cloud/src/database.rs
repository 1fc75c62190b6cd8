//! How to reach the control plane's own database.

use crate::config::{Config, ControlDurability};
use crate::up::LOGICAL_DATABASE;
use lumadb_contract::name::PLATFORM_ROLE;
use lumadb_control_plane::runtime::local::layout::{DataFolder, InstanceFolder};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::path::PathBuf;

/// Role of the services; it has no right of its own.
pub(crate) const APPLICATION_ROLE: &str = "lumadb_app";

fn options(socket_folder: PathBuf) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_folder)
        .ssl_mode(PgSslMode::Disable)
        .database(LOGICAL_DATABASE)
}

/// For migrations and for what the installation itself provides.
pub(crate) fn administrator(data: &DataFolder) -> PgConnectOptions {
    administrator_in(&data.control())
}

/// The same where the database does not lie in its place yet.
pub(crate) fn administrator_in(control: &InstanceFolder) -> PgConnectOptions {
    options(control.run()).username(PLATFORM_ROLE)
}

/// For everything else. Where commits wait for the archive it is the node that holds answers back;
/// elsewhere there is no need to pass through it.
pub(crate) fn application(data: &DataFolder, config: &Config) -> PgConnectOptions {
    let control = data.control();
    let socket_folder = match config.control_durability() {
        ControlDurability::S3 => control.node_run(),
        ControlDurability::Lag => control.run(),
    };
    options(socket_folder).username(APPLICATION_ROLE)
}
