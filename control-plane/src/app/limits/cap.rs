//! Spend caps and budgets, looked at again and again: what is left of a cap, who is degraded for
//! it, and who is told.

use super::degrade::{self, CapStage};
use super::notice;
use crate::app::billing::{self, reckon};
use crate::app::{AppError, Platform};
use crate::notify::limit_content::{self, SpendMail};
use crate::store::billing::customer::{self, CustomerRow};
use crate::store::billing::{clock, hold, usage};
use crate::store::cap::SpendAlert;
use crate::store::{EitherTx, RegionTx, cap};
use lumadb_billing::period::Period;
use lumadb_billing::rating::{CapStanding, rate};
use lumadb_contract::id::{DatabaseId, OrganizationId};
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use time::OffsetDateTime;

/// Between two looks, and so between two steps of degradation: nodes hear of one before the next.
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(20);

/// Looks until `shutdown` is done.
pub async fn caps_run(platform: Platform, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(error) = caps_look(&platform).await {
            tracing::warn!(%error, "spend caps were not looked at");
        }
    }
}

/// One look at every organization that has a cap or a budget, or had a cap. Answers how many of them
/// could not be looked at.
pub async fn caps_look(platform: &Platform) -> Result<usize, AppError> {
    let mut tx = platform.store.region().await?;
    let organizations = cap::organizations(&mut tx).await?;
    tx.commit().await?;
    let mut failures = 0;
    for organization in organizations {
        if let Err(error) = look_at(platform, organization).await {
            tracing::warn!(%organization, %error, "a spend cap was not looked at");
            failures += 1;
        }
    }
    Ok(failures)
}

/// One transaction, in which nothing else changes the organization's billing.
async fn look_at(platform: &Platform, organization: OrganizationId) -> Result<(), AppError> {
    let mut region = platform.store.region().await?;
    let tx = &mut region;
    let ahead = clock::ahead(&mut EitherTx::Region(tx)).await?;
    let now = platform.clock.now() + ahead;
    let period = Period::of(now)?;
    let Some(row) = customer::lock(&mut EitherTx::Region(tx), organization).await? else {
        return Ok(());
    };
    budgets(platform, tx, &row, period, now).await?;
    let mut either = EitherTx::Region(tx);
    let standing = billing::cap_standing(platform, &mut either, organization, now).await?;
    let alive = usage::databases(&mut either, organization).await?;
    let alive = alive.iter().filter(|database| !database.is_deleted);
    let alive: Vec<DatabaseId> = alive.map(|database| database.id).collect();
    let named = cap::order(&mut either, organization).await?;
    let before = cap::stages(&mut either, organization).await?;
    if let Some(near) = standing.filter(is_near) {
        let alert = (SpendAlert::SpendCapNear, near.cap);
        let said = SpendMail::CapNear {
            cap: &near.cap.to_string(),
            left: &near.left.to_string(),
        };
        tell(platform, tx, organization, period, alert, &said).await?;
    }
    let used = standing.filter(|standing| standing.is_used);
    let order = degrade::order(&named, &alive);
    let after = degrade::degrade(&order, &before, used.is_some());
    bring_about(platform, tx, organization, &before, &after).await?;
    if let Some(used) = used.filter(|_| before.is_empty() && !after.is_empty()) {
        let alert = (SpendAlert::SpendCap, used.cap);
        let cap = used.cap.to_string();
        let said = SpendMail::CapUsed { cap: &cap };
        tell(platform, tx, organization, period, alert, &said).await?;
    }
    region.commit().await?;
    Ok(())
}

/// Whether a fifth of a cap or less is left, and not nothing.
fn is_near(standing: &CapStanding) -> bool {
    let (cap, left) = (standing.cap.get(), standing.left.get());
    left > 0 && left.saturating_mul(5) <= cap
}

/// Mails the owners of an amount that is reached, once in a period.
async fn tell(
    platform: &Platform,
    tx: &mut RegionTx,
    organization: OrganizationId,
    period: Period,
    (kind, amount): (SpendAlert, Cents),
    said: &SpendMail<'_>,
) -> Result<(), AppError> {
    let (first, now) = (period.start().date(), platform.clock.now());
    if cap::alert_insert(tx, organization, first, kind, amount, now).await? {
        notice::mail_owners(platform, tx, organization, |to, name, url| {
            limit_content::spend(to, name, said, url)
        })
        .await?;
    }
    Ok(())
}

/// Writes the stages and stops who is to sleep; who was stopped for a cap may be woken again.
async fn bring_about(
    platform: &Platform,
    tx: &mut RegionTx,
    organization: OrganizationId,
    before: &BTreeMap<DatabaseId, CapStage>,
    after: &BTreeMap<DatabaseId, CapStage>,
) -> Result<(), AppError> {
    let now = platform.clock.now();
    if after != before {
        cap::stages_set(tx, organization, after, now).await?;
    }
    // Again at each look: it may have been held for another reason till now.
    for (database, _) in after
        .iter()
        .filter(|(_, stage)| **stage == CapStage::Asleep)
    {
        hold::hold_for_cap(tx, *database, now).await?;
    }
    for (database, stage) in before {
        if *stage == CapStage::Asleep && !after.contains_key(database) {
            hold::release_for_cap(tx, *database, now).await?;
        }
    }
    Ok(())
}

/// Tells of budgets that fees and usage have crossed.
async fn budgets(
    platform: &Platform,
    tx: &mut RegionTx,
    row: &CustomerRow,
    period: Period,
    now: OffsetDateTime,
) -> Result<(), AppError> {
    if row.budgets_cents.is_empty() {
        return Ok(());
    }
    let mut either = EitherTx::Region(tx);
    let account = reckon::account(&mut either, row, period.start(), period.end(), now).await?;
    let cost = rate(&platform.books, &account, period)?.cost()?;
    for budget in row.budgets_cents.iter().copied().map(Cents::new) {
        if cost > budget {
            let alert = (SpendAlert::Budget, budget);
            let said = SpendMail::BudgetCrossed {
                budget: &budget.to_string(),
                cost: &cost.to_string(),
            };
            tell(platform, tx, row.organization_id, period, alert, &said).await?;
        }
    }
    Ok(())
}
