//! How to reach the control plane's own database.

use crate::up::LOGICAL_DATABASE;
use lumadb_contract::name::PLATFORM_ROLE;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Role of the services; it has no right of its own.
const APPLICATION_ROLE: &str = "lumadb_app";

fn options(data: &DataFolder) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(data.control().run())
        .ssl_mode(PgSslMode::Disable)
        .database(LOGICAL_DATABASE)
}

/// For migrations and for what the installation itself provides.
pub(crate) fn administrator(data: &DataFolder) -> PgConnectOptions {
    options(data).username(PLATFORM_ROLE)
}

/// For everything else.
pub(crate) fn application(data: &DataFolder) -> PgConnectOptions {
    options(data).username(APPLICATION_ROLE)
}
