//! What is done before anybody is served, as the database's administrator: the schema and the data
//! that an installation itself provides. The application's role can do none of it.

use crate::store::StoreError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

/// A connection as the administrator.
#[derive(Debug)]
pub struct Setup {
    connection: PgConnection,
}

/// A region as its installation says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionSetup {
    pub name: String,
    pub display_name: String,
    /// Host and port that clients connect to.
    pub host: String,
    pub port: u16,
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
            "insert into regions (name, display_name, host, port) values ($1, $2, $3, $4)
             on conflict (name) do update
                set display_name = excluded.display_name, host = excluded.host, port = excluded.port",
            region.name,
            region.display_name,
            region.host,
            i32::from(region.port)
        )
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    pub async fn close(self) -> Result<(), StoreError> {
        self.connection.close().await.map_err(StoreError::from)
    }
}
