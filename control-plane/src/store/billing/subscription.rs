//! Plans by spans of time.

use crate::store::{EitherTx, IdentityTx, StoreError};
use lumadb_billing::rating::Agreement;
use lumadb_contract::id::{OrganizationId, SubscriptionId};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;

/// A plan from one moment to another.
#[derive(Debug, Clone)]
pub struct SubscriptionRow {
    pub id: SubscriptionId,
    pub plan_id: String,
    pub agreement: Json<Agreement>,
    pub starts_at: OffsetDateTime,
    /// `None` while it holds.
    pub ends_at: Option<OffsetDateTime>,
}

#[derive(Debug)]
pub struct NewSubscription<'a> {
    pub id: SubscriptionId,
    pub organization: OrganizationId,
    pub plan_id: &'a str,
    pub agreement: &'a Agreement,
    pub starts_at: OffsetDateTime,
    pub created_by: &'a str,
}

/// The plan that an organization begins with.
pub async fn insert_as_identity(
    tx: &mut IdentityTx,
    new: &NewSubscription<'_>,
) -> Result<(), StoreError> {
    insert(tx.connection(), new).await
}

async fn insert(
    connection: &mut PgConnection,
    new: &NewSubscription<'_>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into subscriptions (id, organization_id, plan_id, agreement, starts_at, created_by)
         values ($1, $2, $3, $4, $5, $6)",
        new.id.uuid(),
        new.organization.uuid(),
        new.plan_id,
        Json(new.agreement) as _,
        new.starts_at,
        new.created_by
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the plan that holds and begins the next one; the organization is on that from here on. The
/// customer's row must be locked.
pub async fn replace(tx: &mut EitherTx<'_>, new: &NewSubscription<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "update subscriptions set ends_at = greatest(starts_at, $2)
         where organization_id = $1 and ends_at is null",
        new.organization.uuid(),
        new.starts_at
    )
    .execute(tx.connection())
    .await?;
    insert(tx.connection(), new).await?;
    sqlx::query!(
        "update organizations set plan_id = $2, revision = revision + 1
         where id = $1 and plan_id <> $2",
        new.organization.uuid(),
        new.plan_id
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Every plan of an organization, the oldest first.
pub async fn list(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<SubscriptionRow>, StoreError> {
    let rows = sqlx::query_as!(
        SubscriptionRow,
        r#"select id as "id: SubscriptionId", plan_id, agreement as "agreement: Json<Agreement>",
                  starts_at, ends_at
           from subscriptions where organization_id = $1
           order by starts_at, ends_at nulls last, id"#,
        organization.uuid()
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}
