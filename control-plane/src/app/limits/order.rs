//! Which databases fall asleep first for a spend cap, as their owner wants it.

use super::degrade::{self, CapStage};
use crate::app::audit::AuditAction;
use crate::app::authorize::authorize;
use crate::app::change::{Begun, Change};
use crate::app::validate::FieldErrors;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::billing::usage;
use crate::store::{EitherTx, TenantTx, cap};
use lumadb_contract::id::{DatabaseId, OrganizationId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Most databases that an order names.
const NAMED_MAX: usize = 1000;

/// Databases, the first to fall asleep first. Those that are not named come after, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendCapOrder {
    #[schema(max_items = 1000)]
    pub database_ids: Vec<DatabaseId>,
}

/// Every database of the organization, the first to fall asleep first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SpendCapStages {
    pub databases: Vec<SpendCapDatabase>,
}

/// How far a database is degraded for the spend cap.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SpendCapDatabase {
    pub id: DatabaseId,
    pub name: String,
    /// Null: not at all.
    #[schema(required = true)]
    pub stage: Option<CapStage>,
}

pub async fn cap_order_get(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
) -> Result<SpendCapStages, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let found = stages(&mut tx).await?;
    tx.commit().await?;
    Ok(found)
}

pub async fn cap_order_set(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    order: SpendCapOrder,
) -> Result<SpendCapStages, AppError> {
    let member = authorize(platform, caller, organization, Action::BillingWrite).await?;
    let ids = &order.database_ids;
    let Begun::Fresh(mut change) = Change::begin::<()>(platform, caller, member, None).await?
    else {
        return Err(AppError::internal("a change without a key was replayed"));
    };
    let alive: BTreeSet<DatabaseId> = alive(&mut change).await?.keys().copied().collect();
    let distinct: BTreeSet<DatabaseId> = ids.iter().copied().collect();
    let good = ids.len() <= NAMED_MAX && distinct.len() == ids.len() && distinct.is_subset(&alive);
    let message = format!("names up to {NAMED_MAX} databases of the organization, each once");
    let mut fields = FieldErrors::new();
    fields.check("database_ids", good, message.as_str());
    fields.finish()?;
    cap::order_set(&mut change, ids).await?;
    let details = json!({ "database_ids": ids });
    change
        .audit(AuditAction::SpendCapOrderSet, organization, details)
        .await?;
    let set = stages(&mut change).await?;
    change.commit(set).await
}

/// The names of databases that are not deleted.
async fn alive(tx: &mut TenantTx) -> Result<BTreeMap<DatabaseId, String>, AppError> {
    let organization = tx.organization();
    let known = usage::databases(&mut EitherTx::Tenant(tx), organization).await?;
    let alive = known.into_iter().filter(|database| !database.is_deleted);
    Ok(alive.map(|database| (database.id, database.name)).collect())
}

async fn stages(tx: &mut TenantTx) -> Result<SpendCapStages, AppError> {
    let mut alive = alive(tx).await?;
    let ids: Vec<DatabaseId> = alive.keys().copied().collect();
    let organization = tx.organization();
    let mut tx = EitherTx::Tenant(tx);
    let named = cap::order(&mut tx, organization).await?;
    let stages = cap::stages(&mut tx, organization).await?;
    let databases = degrade::order(&named, &ids).into_iter();
    let databases = databases.map(|id| SpendCapDatabase {
        id,
        name: alive.remove(&id).unwrap_or_default(),
        stage: stages.get(&id).copied(),
    });
    Ok(SpendCapStages {
        databases: databases.collect(),
    })
}
