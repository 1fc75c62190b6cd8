//! PostgreSQL's configuration files, made from granted compute. Pure, but for the question how
//! large this machine is.

use super::write_limit::WriteLimit;
use lumadb_contract::instance::InstanceSpec;
use lumadb_contract::name::PLATFORM_ROLE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Connections kept for the platform's superuser.
const CONNECTIONS_RESERVED: u16 = 8;

/// Server processes that may still be ending while their client's place is already taken again.
const CONNECTIONS_ENDING: u16 = 16;

/// Settings that PostgreSQL reads only when it starts.
const READ_AT_START: &[&str] = &[
    "io_method",
    "max_connections",
    "max_logical_replication_workers",
    "max_replication_slots",
    "max_wal_senders",
    "shared_buffers",
    "shared_preload_libraries",
    "superuser_reserved_connections",
    "unix_socket_directories",
    "unix_socket_permissions",
    "listen_addresses",
    "huge_pages",
    "wal_level",
];

/// What of a spec the configuration depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Client connections that the node admits.
    pub connections_max: u16,
    /// Thousandths of a vCPU.
    pub milli_vcpu: u32,
    /// Granted memory, mebibytes.
    pub memory_mib: u32,
}

impl From<&InstanceSpec> for Settings {
    fn from(spec: &InstanceSpec) -> Self {
        Self {
            connections_max: spec.connections_max,
            milli_vcpu: spec.compute.milli_vcpu,
            memory_mib: spec.compute.memory_mib,
        }
    }
}

/// The machine that the engine runs on: it may be smaller than what is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Mebibytes.
    pub memory_mib: u32,
}

impl Machine {
    /// The one that this runs on; `None` if it does not tell.
    pub fn this() -> Option<Self> {
        Self::of_meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?)
    }

    /// From the content of `/proc/meminfo`.
    pub fn of_meminfo(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(Self {
            memory_mib: u32::try_from(kib / 1024).unwrap_or(u32::MAX),
        })
    }
}

/// The whole content of the files in the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFiles {
    /// `postgresql.conf`
    pub postgresql: String,
    /// `pg_hba.conf`
    pub hba: String,
    /// `pg_ident.conf`
    pub ident: String,
}

/// What it takes to bring a changed configuration into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    None,
    Reload,
    Restart,
}

impl ConfigFiles {
    pub fn new(settings: Settings, machine: Machine, limit: &WriteLimit) -> Self {
        let mut postgresql =
            String::from("# Written by the node at each start; changes here are lost.\n");
        let values = values(settings, machine);
        for (name, value) in values.into_iter().chain(limit.settings()) {
            // Writing to a string does not fail.
            let _ = writeln!(postgresql, "{name} = '{value}'");
        }
        Self {
            postgresql,
            hba: hba(),
            ident: String::new(),
        }
    }

    /// The same, with transactions that only read unless they ask for more.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.postgresql
            .push_str("default_transaction_read_only = 'on'\n");
        self
    }

    /// What it takes to get from the configuration that the engine was started with to this one.
    pub fn change_from(&self, started: &Self) -> Change {
        if self == started {
            return Change::None;
        }
        let before = parse(&started.postgresql);
        let after = parse(&self.postgresql);
        let differs = |name: &&&str| before.get(**name) != after.get(**name);
        match READ_AT_START.iter().find(differs) {
            Some(_) => Change::Restart,
            None => Change::Reload,
        }
    }
}

/// The socket's folder lets in the engine's user and the node's and nobody else, so whoever gets
/// there is trusted to be the role it names; the node has authenticated its clients before.
fn hba() -> String {
    format!(
        "local all all trust\n\
         local replication {PLATFORM_ROLE} trust\n"
    )
}

fn values(settings: Settings, machine: Machine) -> Vec<(&'static str, String)> {
    let shared_buffers_mib = shared_buffers_mib(settings.memory_mib.min(machine.memory_mib));
    let cache_mib = settings.memory_mib.min(machine.memory_mib) / 4 * 3;
    let connections =
        u32::from(settings.connections_max) + u32::from(CONNECTIONS_RESERVED + CONNECTIONS_ENDING);
    let text = str::to_owned;
    vec![
        // Reached through one socket only; the path is relative to the data folder, so that an
        // instance's folder can be renamed.
        ("listen_addresses", text("")),
        ("unix_socket_directories", text("../run")),
        ("unix_socket_permissions", text("0770")),
        ("max_connections", connections.to_string()),
        (
            "superuser_reserved_connections",
            CONNECTIONS_RESERVED.to_string(),
        ),
        ("password_encryption", text("scram-sha-256")),
        // The owner is no superuser and could not anyway; this stops our own slips.
        ("allow_alter_system", text("off")),
        (
            "shared_preload_libraries",
            text("pg_stat_statements,lumadb_limits"),
        ),
        // Texts of statements belong to the tenant: they are in its own view, not in our logs.
        ("pg_stat_statements.max", text("1000")),
        ("log_min_error_statement", text("panic")),
        ("log_min_messages", text("log")),
        ("log_destination", text("stderr")),
        ("logging_collector", text("off")),
        ("log_line_prefix", text("%m [%p] %q%u@%d ")),
        ("log_timezone", text("UTC")),
        ("timezone", text("UTC")),
        ("wal_level", text("logical")),
        ("summarize_wal", text("on")),
        ("wal_compression", text("pglz")),
        // The archive's stream, backups, and what a tenant reads changes with.
        ("max_wal_senders", text("10")),
        ("max_replication_slots", text("10")),
        // WAL that is not archived yet is never dropped, however long the archive is away.
        ("max_slot_wal_keep_size", text("-1")),
        ("idle_replication_slot_timeout", text("0")),
        // Whoever waits for the archive waits in the node.
        ("synchronous_standby_names", text("")),
        // Subscriptions are refused to tenants, so their launcher would only cost a process.
        ("max_logical_replication_workers", text("0")),
        ("shared_buffers", format!("{shared_buffers_mib}MB")),
        ("huge_pages", text("off")),
        ("effective_cache_size", format!("{cache_mib}MB")),
        // Small instances save the memory of PostgreSQL's I/O processes.
        (
            "io_method",
            text(if settings.milli_vcpu < 2000 {
                "sync"
            } else {
                "worker"
            }),
        ),
        ("default_text_search_config", text("pg_catalog.english")),
        // A client that vanished is noticed while its statement still runs.
        ("client_connection_check_interval", text("10s")),
    ]
}

/// A quarter of the memory; memory that is never touched is never taken.
fn shared_buffers_mib(memory_mib: u32) -> u32 {
    (memory_mib / 4).clamp(16, 64 * 1024)
}

fn parse(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once(" = "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::write_limit::WriteStage;
    use super::*;

    const SMALL: Settings = Settings {
        connections_max: 100,
        milli_vcpu: 250,
        memory_mib: 1024,
    };
    const MACHINE: Machine = Machine { memory_mib: 8192 };
    const NO_LIMIT: WriteLimit = WriteLimit {
        stage: WriteStage::Allowed,
        detail: String::new(),
        hint: String::new(),
    };

    fn value(files: &ConfigFiles, name: &str) -> String {
        parse(&files.postgresql)[name].trim_matches('\'').to_owned()
    }

    #[test]
    fn the_engine_has_places_for_every_admitted_client_and_for_the_platform() {
        let files = ConfigFiles::new(SMALL, MACHINE, &NO_LIMIT);
        assert_eq!(value(&files, "max_connections"), "124");
        assert_eq!(value(&files, "superuser_reserved_connections"), "8");
    }

    #[test]
    fn no_network_and_a_quarter_of_the_memory_that_there_is() {
        let files = ConfigFiles::new(SMALL, MACHINE, &NO_LIMIT);
        assert_eq!(value(&files, "listen_addresses"), "");
        assert_eq!(value(&files, "shared_buffers"), "256MB");
        let large = Settings {
            memory_mib: 65_536,
            ..SMALL
        };
        let files = ConfigFiles::new(large, MACHINE, &NO_LIMIT);
        assert_eq!(value(&files, "shared_buffers"), "2048MB");
    }

    #[test]
    fn only_what_is_read_at_start_takes_a_restart() {
        let files = ConfigFiles::new(SMALL, MACHINE, &NO_LIMIT);
        assert_eq!(files.change_from(&files), Change::None);
        let more = Settings {
            connections_max: 200,
            ..SMALL
        };
        let changed = ConfigFiles::new(more, MACHINE, &NO_LIMIT);
        assert_eq!(changed.change_from(&files), Change::Restart);
        let full = WriteLimit {
            stage: WriteStage::NoGrowth,
            ..NO_LIMIT
        };
        let reloaded = ConfigFiles::new(SMALL, MACHINE, &full);
        assert_eq!(reloaded.change_from(&files), Change::Reload);
        let reading = files.clone().read_only();
        assert_eq!(reading.change_from(&files), Change::Reload);
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        let machine = Machine::of_meminfo("MemTotal:        8388608 kB\nMemFree: 1 kB\n");
        assert_eq!(machine, Some(MACHINE));
        assert_eq!(Machine::of_meminfo(""), None);
    }
}
