//! From the tables to what the crate `billing` calculates with.

use super::{gone, plan_change};
use crate::app::usage::split_by_hour;
use crate::app::{AppError, Platform};
use crate::store::billing::customer::{self, CustomerRow};
use crate::store::billing::usage::{self, HourOf, KnownDatabase, Which};
use crate::store::billing::{close, subscription};
use crate::store::{EitherTx, StoreError};
use lumadb_billing::period::Period;
use lumadb_billing::price_book::PlanId;
use lumadb_billing::rating::{self, Account, CapStanding, Line, LineKind, Terms, Usage, UsageHour};
use lumadb_contract::id::{DatabaseId, OrganizationId};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// A plan's identifier as the store has it.
pub(super) fn plan_id(text: &str) -> Result<PlanId, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt(format!("`{text}` is not a plan's identifier")))
}

/// Every plan of an organization with what was agreed, the oldest first.
pub(super) async fn terms(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
) -> Result<Vec<Terms>, AppError> {
    let rows = subscription::list(tx, organization).await?;
    let terms = rows.into_iter().map(|row| {
        Ok(Terms {
            from: row.starts_at,
            plan: plan_id(&row.plan_id)?,
            agreement: row.agreement.0,
        })
    });
    Ok(terms.collect::<Result<_, StoreError>>()?)
}

/// Hours by database, with what sleeping databases held up to now.
pub(in crate::app) async fn hours(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    which: Which,
    (from, to): (OffsetDateTime, OffsetDateTime),
    now: OffsetDateTime,
) -> Result<Vec<HourOf>, AppError> {
    let folded = usage::hours(tx, organization, which, from, to).await?;
    let mut hours: BTreeMap<(DatabaseId, OffsetDateTime), HourOf> = folded
        .into_iter()
        .map(|of| ((of.hour.database, of.hour.starts_at), of))
        .collect();
    for (database, front) in usage::held(tx, organization, which).await? {
        for (starts_at, us) in split_by_hour(front.at.max(from), to.min(now)) {
            let of = hours.entry((database, starts_at)).or_insert(HourOf {
                hour: UsageHour {
                    database,
                    starts_at,
                    storage_byte_us: 0,
                    requests: 0,
                    transfer_out_bytes: 0,
                    vector_operations: 0,
                },
                errors: 0,
            });
            of.hour.storage_byte_us += u128::from(front.storage_bytes) * us;
        }
    }
    Ok(hours.into_values().collect())
}

/// The account with what was used in `from..to`.
pub(in crate::app) async fn account(
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    from: OffsetDateTime,
    to: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Account, AppError> {
    let organization = customer.organization_id;
    let all = Which::default();
    let hours = hours(tx, organization, all, (from, to), now).await?;
    Ok(Account {
        terms: terms(tx, organization).await?,
        usage: Usage {
            hours: hours.into_iter().map(|of| of.hour).collect(),
            spans: usage::spans(tx, organization, all, from, to).await?,
        },
        spend_cap: customer.spend_cap_cents,
    })
}

/// The lines of the invoice that closes a period, as far as it is known: usage, the fee of the next
/// one under the plan that will hold then, and corrections of closed periods.
pub(super) async fn lines(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    period: Period,
    now: OffsetDateTime,
) -> Result<Vec<Line>, AppError> {
    let account = account(tx, customer, period.start(), period.end(), now).await?;
    let mut lines = rating::rate(&platform.books, &account, period)?.lines;
    let mut terms = account.terms;
    terms.extend(plan_change::scheduled(tx, customer.organization_id).await?);
    let following = period.following()?;
    lines.extend(rating::fees_in_advance(&platform.books, &terms, following)?);
    lines.extend(corrections(platform, tx, customer, period, now).await?);
    Ok(lines)
}

/// What late usage makes of the periods before this one, which are closed.
async fn corrections(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    customer: &CustomerRow,
    before: Period,
    now: OffsetDateTime,
) -> Result<Vec<Line>, AppError> {
    let organization = customer.organization_id;
    let mut lines = Vec::new();
    for (first, spend_cap) in close::late(tx, organization).await? {
        let period = super::period_of(first)?;
        if period >= before {
            continue;
        }
        let known = account(tx, customer, period.start(), period.end(), now).await?;
        let then = Account { spend_cap, ..known };
        let rated = rating::rate(&platform.books, &then, period)?.lines;
        let mut billed = close::billed(tx, organization, first).await?;
        // Fees were in advance, for the period after it.
        billed.retain(|line| !matches!(line.kind, LineKind::Fee | LineKind::FeeUnused));
        lines.extend(rating::corrections(period, &billed, &rated)?);
    }
    Ok(lines)
}

/// How far an organization is from its spend cap; `None`: it has none.
pub async fn cap_standing(
    platform: &Platform,
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    now: OffsetDateTime,
) -> Result<Option<CapStanding>, AppError> {
    let customer = customer::find(tx, organization).await?.ok_or_else(gone)?;
    if customer.spend_cap_cents.is_none() {
        return Ok(None);
    }
    let period = Period::of(now)?;
    let account = account(tx, &customer, period.start(), now, now).await?;
    let stored: Vec<(DatabaseId, u64)> = usage::databases(tx, organization)
        .await?
        .iter()
        .filter(|database| !database.is_deleted)
        .map(|database| (database.id, stored_bytes(database)))
        .collect();
    let books = &platform.books;
    Ok(rating::cap_standing(books, &account, &stored, period, now)?)
}

pub(super) fn stored_bytes(database: &KnownDatabase) -> u64 {
    u64::try_from(database.storage_bytes).unwrap_or_default()
}
