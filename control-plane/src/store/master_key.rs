//! Which master key wraps what. Changing that is the administrator's alone; services read the one
//! key that they seal with.

use super::setup::Setup;
use super::{Store, StoreError};
use lumadb_contract::id::OrganizationId;
use time::OffsetDateTime;

/// A key, and the fingerprint of the master key that wraps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedRow {
    pub master_key: String,
    pub wrapped_key: String,
}

/// What the tables hold that a master key wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedCount {
    pub fingerprint: String,
    pub created_at: OffsetDateTime,
    pub organizations: i64,
    /// The key that secrets in the tables are sealed with.
    pub has_seal_key: bool,
}

/// The key that secrets in the tables are sealed with.
pub async fn seal_key(store: &Store) -> Result<Option<WrappedRow>, StoreError> {
    let mut tx = store.region().await?;
    let row = sqlx::query_as!(WrappedRow, "select master_key, wrapped_key from seal_keys")
        .fetch_optional(tx.connection())
        .await?;
    tx.commit().await?;
    Ok(row)
}

impl Setup {
    /// Lets things be wrapped by a master key from now on. Repeatable.
    pub async fn master_key_name(
        &mut self,
        fingerprint: &str,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into master_keys (fingerprint, created_at) values ($1, $2)
             on conflict do nothing",
            fingerprint,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Whether secrets lie in the tables that were sealed before there was a key for that alone.
    pub async fn has_sealed(&mut self) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            r#"select exists (select from database_roles)
                      or exists (select from imports where source_sealed is not null)
                      or exists (select from idempotency_keys) as "found!""#
        )
        .fetch_one(self.connection())
        .await?;
        Ok(found)
    }

    pub async fn seal_key(&mut self) -> Result<Option<WrappedRow>, StoreError> {
        let row = sqlx::query_as!(WrappedRow, "select master_key, wrapped_key from seal_keys")
            .fetch_optional(self.connection())
            .await?;
        Ok(row)
    }

    /// Does nothing where there is one already.
    pub async fn seal_key_insert(&mut self, key: &WrappedRow) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into seal_keys (master_key, wrapped_key) values ($1, $2)
             on conflict do nothing",
            key.master_key,
            key.wrapped_key
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes it as it is wrapped now, if it is still wrapped as `before`.
    pub async fn seal_key_replace(
        &mut self,
        before: &WrappedRow,
        after: &WrappedRow,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update seal_keys set master_key = $3, wrapped_key = $4
             where master_key = $1 and wrapped_key = $2",
            before.master_key,
            before.wrapped_key,
            after.master_key,
            after.wrapped_key
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Keys of organizations that another master key wraps, some at a time.
    pub async fn organization_keys_other(
        &mut self,
        active: &str,
        limit: i64,
    ) -> Result<Vec<(OrganizationId, WrappedRow)>, StoreError> {
        let rows = sqlx::query!(
            r#"select organization_id as "organization_id: OrganizationId", master_key, wrapped_key
               from organization_keys where master_key <> $1 order by organization_id limit $2"#,
            active,
            limit
        )
        .fetch_all(self.connection())
        .await?;
        let keys = rows.into_iter().map(|row| {
            let key = WrappedRow {
                master_key: row.master_key,
                wrapped_key: row.wrapped_key,
            };
            (row.organization_id, key)
        });
        Ok(keys.collect())
    }

    /// Writes an organization's key as it is wrapped now, if it is still wrapped as `before`, and has
    /// its databases told: in one step, since a node that is not told would write the old one into its
    /// archive again.
    pub async fn organization_key_replace(
        &mut self,
        organization: OrganizationId,
        before: &WrappedRow,
        after: &WrappedRow,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "with rewrapped as (
                 update organization_keys set master_key = $4, wrapped_key = $5
                 where organization_id = $1 and master_key = $2 and wrapped_key = $3
                 returning organization_id
             )
             update databases set generation = generation + 1, look_at = $6, attempt = 0
             where deleted_at is null
               and organization_id in (select organization_id from rewrapped)",
            organization.uuid(),
            before.master_key,
            before.wrapped_key,
            after.master_key,
            after.wrapped_key,
            now
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Every master key that is named, and what of the tables it wraps.
    pub async fn master_keys(&mut self) -> Result<Vec<WrappedCount>, StoreError> {
        let rows = sqlx::query_as!(
            WrappedCount,
            r#"select fingerprint, created_at,
                      (select count(*) from organization_keys o
                       where o.master_key = m.fingerprint) as "organizations!",
                      exists (select from seal_keys s
                              where s.master_key = m.fingerprint) as "has_seal_key!"
               from master_keys m order by created_at, fingerprint"#
        )
        .fetch_all(self.connection())
        .await?;
        Ok(rows)
    }

    /// Databases that run, or are about to, and have not yet said that they took their last wish.
    pub async fn databases_behind(&mut self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from databases
               where deleted_at is null and observed_generation < generation
                 and observed in ('pending', 'running')"#
        )
        .fetch_one(self.connection())
        .await?;
        Ok(count)
    }

    /// Forgets a master key; an error if something in the tables is wrapped by it. Repeatable.
    pub async fn master_key_forget(&mut self, fingerprint: &str) -> Result<(), StoreError> {
        sqlx::query!(
            "delete from master_keys where fingerprint = $1",
            fingerprint
        )
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
