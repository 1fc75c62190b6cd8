//! Pages for a card that were asked for.

use crate::store::{EitherTx, StoreError};
use lumadb_contract::id::OrganizationId;
use time::OffsetDateTime;
use uuid::Uuid;

pub async fn insert(
    tx: &mut EitherTx<'_>,
    id: Uuid,
    organization: OrganizationId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into stripe_checkouts (id, organization_id, created_at) values ($1, $2, $3)",
        id,
        organization.uuid(),
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes what Stripe calls it.
pub async fn opened(
    tx: &mut EitherTx<'_>,
    id: Uuid,
    organization: OrganizationId,
    session: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update stripe_checkouts set session = $3 where id = $1 and organization_id = $2",
        id,
        organization.uuid(),
        session
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Notes that its card was saved; false if that was noted before, or no page of ours has this name.
pub async fn done(
    tx: &mut EitherTx<'_>,
    id: Uuid,
    organization: OrganizationId,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update stripe_checkouts set done_at = $3
         where id = $1 and organization_id = $2 and done_at is null",
        id,
        organization.uuid(),
        now
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    Ok(done == 1)
}
