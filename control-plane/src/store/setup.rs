//! What is done before anybody is served, as the database's administrator: the schema and the data
//! that an installation itself provides. The application's role can do none of it.

use crate::store::StoreError;
use lumadb_contract::id::{ArchiveId, DatabaseId};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use std::collections::{BTreeMap, BTreeSet};

/// A connection as the administrator.
#[derive(Debug)]
pub struct Setup {
    connection: PgConnection,
}

/// Changes of one database that a restored control plane can have forgotten, at most.
const GENERATIONS_FORGOTTEN_MAX: i64 = 1_000_000;

/// Databases and archives that the tables name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// And whether they are not deleted.
    pub databases: BTreeMap<DatabaseId, bool>,
    pub archives: BTreeSet<ArchiveId>,
}

/// A region as its installation says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionSetup {
    pub name: String,
    pub display_name: String,
    /// Host and port that clients connect to.
    pub host: String,
    pub port: u16,
    /// The authority by which clients know the edges there, PEM; `None`: the data folder's own; empty:
    /// one that they know anyway.
    pub edge_authority_pem: Option<String>,
    /// Whether edges in the region's own cluster are there: they take the control plane's own
    /// sessions, too.
    pub edges_elsewhere: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Setup {
    pub async fn open(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let connection = options.connect().await?;
        Ok(Self { connection })
    }

    /// Applies the migrations that this build knows and the database has not seen; answers how
    /// many those were. Two at once wait for each other.
    pub async fn migrate(&mut self) -> Result<usize, SetupError> {
        let before = self.applied().await?;
        sqlx::migrate!("../migrations")
            .run(&mut self.connection)
            .await?;
        Ok(self.applied().await?.saturating_sub(before))
    }

    async fn applied(&mut self) -> Result<usize, StoreError> {
        let known = sqlx::query_scalar!(
            r#"select to_regclass('public._sqlx_migrations') is not null as "known!""#
        )
        .fetch_one(&mut self.connection)
        .await?;
        if !known {
            return Ok(0);
        }
        // The migrator's own table, which exists only once it has run.
        let count: i64 = sqlx::query_scalar("select count(*) from public._sqlx_migrations")
            .fetch_one(&mut self.connection)
            .await?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Makes the region be as given.
    pub async fn region(&mut self, region: &RegionSetup) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into regions (name, display_name, host, port, edge_authority_pem, edges_elsewhere)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (name) do update
                set display_name = excluded.display_name, host = excluded.host, port = excluded.port,
                    edge_authority_pem = excluded.edge_authority_pem,
                    edges_elsewhere = excluded.edges_elsewhere",
            region.name,
            region.display_name,
            region.host,
            i32::from(region.port),
            region.edge_authority_pem,
            region.edges_elsewhere
        )
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// What this database knows of databases and archives: to be compared with what there is, after
    /// it was restored.
    pub async fn remembered(&mut self) -> Result<Remembered, StoreError> {
        let databases = sqlx::query!(
            r#"select instance_id as "id: DatabaseId", deleted_at is null as "is_live!"
               from databases"#
        )
        .fetch_all(&mut self.connection)
        .await?;
        let archives = sqlx::query_scalar!(r#"select id as "id: ArchiveId" from archives"#)
            .fetch_all(&mut self.connection)
            .await?;
        Ok(Remembered {
            databases: databases
                .into_iter()
                .map(|row| (row.id, row.is_live))
                .collect(),
            archives: archives.into_iter().collect(),
        })
    }

    /// Puts every database's generation above any that its node can have heard of before this
    /// database was restored: a node takes no older wish than the one that it has. What was lost by
    /// then and on its way back is looked at anew.
    pub async fn generations_raise(&mut self) -> Result<(), StoreError> {
        sqlx::query!(
            "update databases set generation = generation + $1 where deleted_at is null",
            GENERATIONS_FORGOTTEN_MAX
        )
        .execute(&mut self.connection)
        .await?;
        sqlx::query!(
            "update recoveries set phase = 'false_alarm', ended_at = now() where ended_at is null"
        )
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Whether an archive's objects are to stay; `None`: no table knows it.
    pub async fn archive_stays(&mut self, id: ArchiveId) -> Result<Option<bool>, StoreError> {
        let stays = sqlx::query_scalar!(
            r#"select removing_since is null as "stays!" from archives where id = $1"#,
            id.uuid()
        )
        .fetch_optional(&mut self.connection)
        .await?;
        Ok(stays)
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    pub async fn close(self) -> Result<(), StoreError> {
        self.connection.close().await.map_err(StoreError::from)
    }
}
