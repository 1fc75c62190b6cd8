//! How to reach the control plane's own database.

use crate::up::LOGICAL_DATABASE;
use lumadb_contract::name::PLATFORM_ROLE;
use lumadb_control_plane::runtime::local::layout::{DataFolder, InstanceFolder};
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Role of the services; it has no right of its own.
const APPLICATION_ROLE: &str = "lumadb_app";

fn options(control: &InstanceFolder) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(control.run())
        .ssl_mode(PgSslMode::Disable)
        .database(LOGICAL_DATABASE)
}

/// For migrations and for what the installation itself provides.
pub(crate) fn administrator(data: &DataFolder) -> PgConnectOptions {
    administrator_in(&data.control())
}

/// The same where the database does not lie in its place yet.
pub(crate) fn administrator_in(control: &InstanceFolder) -> PgConnectOptions {
    options(control).username(PLATFORM_ROLE)
}

/// For everything else.
pub(crate) fn application(data: &DataFolder) -> PgConnectOptions {
    options(&data.control()).username(APPLICATION_ROLE)
}
