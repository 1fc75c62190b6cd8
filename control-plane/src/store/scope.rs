//! Scoped transactions.

use crate::store::Signals;
use lumadb_contract::id::{OrganizationId, UserId};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres, Transaction};
use std::time::Duration;

/// Longest wait for a free connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the control plane's database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the control plane's database holds a value that does not fit: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Name of the constraint that a statement would have broken, if that is what failed.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later: the database is away, busy or restarted.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
                ["40", "53", "57", "08"].contains(&code.get(..2).unwrap_or(""))
            }),
            Self::Database(
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed,
            ) => true,
            _ => false,
        }
    }
}

/// The control plane's database, reached as `lumadb_app`.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    signals: Signals,
}

impl Store {
    /// Opens a pool of at most `connections_max` connections, lazily: a database that is away is
    /// an error of the calls that need it, not of the process.
    pub fn open(options: PgConnectOptions, connections_max: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        let signals = Signals::new(pool.clone());
        Self { pool, signals }
    }

    /// What the database notifies of.
    pub const fn signals(&self) -> &Signals {
        &self.signals
    }

    /// For listening to notifications, which need no scope: they carry nothing but identifiers.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A transaction that sees one organization.
    pub async fn tenant(&self, organization: OrganizationId) -> Result<TenantTx, StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "select set_config('role', 'lumadb_tenant', true) as role,
                    set_config('lumadb.organization_id', $1, true) as organization",
            organization.uuid().to_string()
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(TenantTx { tx, organization })
    }

    /// A transaction that sees one user, and the rows found by `lookup`: an e-mail address, or the
    /// hex hash of a secret that the caller has shown.
    pub async fn identity(
        &self,
        user: Option<UserId>,
        lookup: Option<&str>,
    ) -> Result<IdentityTx, StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!(
            "select set_config('role', 'lumadb_identity', true) as role,
                    set_config('lumadb.user_id', $1, true) as user_id,
                    set_config('lumadb.lookup', $2, true) as lookup",
            user.map(|id| id.uuid().to_string()).unwrap_or_default(),
            lookup.unwrap_or_default()
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(IdentityTx { tx })
    }

    /// A transaction of the regions' own work: it sees the databases of every tenant, for the loop
    /// that applies desired state and for the edges. Never on behalf of a request of a tenant's.
    pub async fn region(&self) -> Result<RegionTx, StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("select set_config('role', 'lumadb_region', true) as role")
            .fetch_one(&mut *tx)
            .await?;
        Ok(RegionTx { tx })
    }
}

/// A transaction that sees one organization.
#[derive(Debug)]
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    organization: OrganizationId,
}

impl TenantTx {
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }
}

/// A transaction that sees one user.
#[derive(Debug)]
pub struct IdentityTx {
    tx: Transaction<'static, Postgres>,
}

impl IdentityTx {
    /// Goes on as this user: for the statements after a sign-up or a log-in.
    pub async fn become_user(&mut self, user: UserId) -> Result<(), StoreError> {
        sqlx::query!(
            "select set_config('lumadb.user_id', $1, true) as user_id",
            user.uuid().to_string()
        )
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(())
    }
}

/// A transaction of a region's own work.
#[derive(Debug)]
pub struct RegionTx {
    tx: Transaction<'static, Postgres>,
}

macro_rules! transaction {
    ($name:ident) => {
        impl $name {
            pub(in crate::store) fn connection(&mut self) -> &mut PgConnection {
                &mut self.tx
            }

            pub async fn commit(self) -> Result<(), StoreError> {
                self.tx.commit().await.map_err(StoreError::from)
            }
        }
    };
}

/// A transaction of either scope, for what both may do to one organization's rows.
#[derive(Debug)]
pub enum EitherTx<'a> {
    Tenant(&'a mut TenantTx),
    Region(&'a mut RegionTx),
}

impl EitherTx<'_> {
    pub(in crate::store) fn connection(&mut self) -> &mut PgConnection {
        match self {
            Self::Tenant(tx) => tx.connection(),
            Self::Region(tx) => tx.connection(),
        }
    }
}

transaction!(TenantTx);
transaction!(IdentityTx);
transaction!(RegionTx);
