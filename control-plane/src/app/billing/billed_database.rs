//! What invoices and usage are of, by name.

use super::invoice::InvoiceLine;
use crate::store::EitherTx;
use crate::store::StoreError;
use crate::store::billing::usage::{self, KnownDatabase};
use lumadb_contract::id::{DatabaseId, OrganizationId, ProjectId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// A database as invoices and usage name it, also one that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BilledDatabase {
    pub id: DatabaseId,
    pub project_id: ProjectId,
    pub name: String,
    pub is_deleted: bool,
}

impl From<KnownDatabase> for BilledDatabase {
    fn from(database: KnownDatabase) -> Self {
        Self {
            id: database.id,
            project_id: database.project_id,
            name: database.name,
            is_deleted: database.is_deleted,
        }
    }
}

/// What the lines' shares are of, the oldest first.
pub(super) async fn billed_databases(
    tx: &mut EitherTx<'_>,
    organization: OrganizationId,
    lines: &[InvoiceLine],
) -> Result<Vec<BilledDatabase>, StoreError> {
    let shares = lines.iter().filter_map(|line| line.usage.as_ref());
    let billed: BTreeSet<DatabaseId> = shares
        .flat_map(|usage| usage.shares.iter().map(|share| share.database_id))
        .collect();
    if billed.is_empty() {
        return Ok(Vec::new());
    }
    let known = usage::databases(tx, organization).await?.into_iter();
    Ok(known
        .filter(|database| billed.contains(&database.id))
        .map(BilledDatabase::from)
        .collect())
}
