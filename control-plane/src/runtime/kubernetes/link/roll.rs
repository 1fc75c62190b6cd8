//! Which databases are this region's.

use super::super::super::Reports;
use lumadb_contract::id::DatabaseId;
use std::collections::HashMap;
use std::time::Duration;

/// Wait before it is asked again whose a database is.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Databases that are remembered; beyond it everything is asked anew.
const REMEMBERED_MAX: usize = 100_000;

/// Asks once for each database of a stream: none moves between regions, and each is written down
/// before a cluster hears of it.
#[derive(Debug)]
pub(super) struct Roll {
    reports: Reports,
    region: String,
    known: HashMap<DatabaseId, bool>,
}

impl Roll {
    pub(super) fn new(reports: Reports, region: String) -> Self {
        Self {
            reports,
            region,
            known: HashMap::new(),
        }
    }

    /// Waits for as long as the control plane's database is away.
    pub(super) async fn admits(&mut self, database: DatabaseId) -> bool {
        if let Some(is_ours) = self.known.get(&database) {
            return *is_ours;
        }
        let is_ours = loop {
            match self.reports.is_of_region(&self.region, database).await {
                Ok(is_ours) => break is_ours,
                Err(error) => {
                    tracing::warn!(%database, %error, "it is not known whose a database is");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        };
        if !is_ours {
            tracing::warn!(%database, region = self.region, "not a database of this region: what is said of it is not heard");
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        self.known.insert(database, is_ours);
        is_ours
    }
}
