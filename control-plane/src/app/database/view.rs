//! A database as the API shows it.

use crate::app::archive::in_place::InPlaceRestore;
use crate::app::archive::restore::Restore;
use crate::app::billing::ChangeQuote;
use crate::app::operation::Operation;
use crate::app::state::{DatabaseState, Durability};
use crate::store::database::DatabaseRow;
use lumadb_contract::id::{DatabaseId, OrganizationId, ProjectId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// One PostgreSQL cluster with its own address.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Database {
    pub id: DatabaseId,
    pub organization_id: OrganizationId,
    pub project_id: ProjectId,
    /// Unique in its project.
    pub name: String,
    pub region: String,
    pub state: DatabaseState,
    /// Major version of PostgreSQL.
    pub engine_version: String,
    /// Version of PostgreSQL that runs, once known.
    #[schema(required = true)]
    pub engine_minor: Option<String>,
    /// Granted compute, thousandths of a vCPU.
    pub milli_vcpu: u32,
    /// Memory, mebibytes.
    pub memory_mib: u32,
    /// Client connections that are admitted at once.
    pub connections_max: u32,
    /// While it is on, the database cannot be deleted.
    pub deletion_protection: bool,
    /// Seconds without a client after which it falls asleep; null: never.
    #[schema(required = true)]
    pub idle_timeout_seconds: Option<u32>,
    /// When a client hears that its transaction is committed.
    pub durability: Durability,
    /// Networks that clients may come from, such as `203.0.113.0/24`; empty: they may come from
    /// everywhere. The SQL editor and imports are not bound to it.
    pub allowed_networks: Vec<String>,
    /// Host that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// Client connections open when last counted.
    pub connections: u32,
    /// Size on disk without WAL when last measured, bytes.
    pub storage_bytes: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Counts the changes that callers made; also the `ETag`.
    pub revision: i64,
    /// PostgreSQL's own identifier of the cluster, once known.
    #[schema(required = true)]
    pub system_identifier: Option<String>,
    /// Where its first content came from; null: it began empty.
    #[schema(required = true)]
    pub restore: Option<Restore>,
    /// The last restore in place that it took part in: as the one that was restored, or as the one
    /// that has what was kept.
    #[schema(required = true)]
    pub in_place_restore: Option<InPlaceRestore>,
}

/// A database and what is being done to it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DatabaseChanged {
    pub database: Database,
    /// Null when the change is in force already.
    #[schema(required = true)]
    pub operation: Option<Operation>,
    /// What the change would cost, if only that was asked.
    #[schema(required = true)]
    pub quote: Option<ChangeQuote>,
}

impl From<DatabaseRow> for Database {
    fn from(row: DatabaseRow) -> Self {
        let is_current = row.observed_generation >= row.run_generation;
        Self {
            id: row.id,
            organization_id: row.organization_id,
            project_id: row.project_id,
            state: DatabaseState::of(row.desired, row.observed, is_current),
            engine_version: row.engine_version.to_string(),
            engine_minor: row.engine_minor,
            milli_vcpu: unsigned(row.milli_vcpu),
            memory_mib: unsigned(row.memory_mib),
            connections_max: unsigned(row.connections_max),
            deletion_protection: row.deletion_protection,
            idle_timeout_seconds: row.idle_timeout_seconds.map(unsigned),
            durability: row.durability,
            allowed_networks: row.allowed_networks,
            host: if row.wildcard_dns {
                format!("{}.{}", row.id.host_label(), row.host)
            } else {
                row.host
            },
            // The schema admits ports alone.
            port: u16::try_from(row.port).unwrap_or_default(),
            connections: unsigned(row.connections),
            storage_bytes: u64::try_from(row.storage_bytes).unwrap_or_default(),
            name: row.name,
            region: row.region,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
            system_identifier: row.system_identifier,
            restore: row.restore.map(|restore| restore.0.into()),
            in_place_restore: row.in_place_restore.map(|in_place| in_place.0.into()),
        }
    }
}

/// The schema admits no negative numbers.
fn unsigned(value: i32) -> u32 {
    u32::try_from(value).unwrap_or_default()
}
