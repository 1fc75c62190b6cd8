//! Where a runtime hands in what must not be lost: usage samples and spans of compute.

use crate::app::usage::{self, IngestError};
use crate::app::{AppError, Platform, limits};
use crate::clock::Clock;
use crate::store::{Store, StoreError, desired};
use lumadb_contract::allowance::{Allowance, AllowanceRequest};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::usage::UsageSample;
use std::sync::Arc;
use time::OffsetDateTime;

/// Granted compute while an engine ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeSpan {
    /// The instance.
    pub database_id: DatabaseId,
    pub incarnation_id: IncarnationId,
    pub started_at: OffsetDateTime,
    /// `None` while it lasts.
    pub ended_at: Option<OffsetDateTime>,
    /// Last moment at which the engine was seen running: where a span ends whose end nobody saw.
    pub seen_at: OffsetDateTime,
    /// Thousandths of a vCPU. A resize ends a span and starts the next.
    pub milli_vcpu: u32,
}

/// Stores what nodes counted and how long they ran, and tells them what they may still count.
/// Everything may be handed in twice.
#[derive(Debug, Clone)]
pub struct Reports {
    store: Store,
    clock: Clock,
    /// Whose plans set limits; `None`: nobody's do.
    limiting: Option<Arc<Platform>>,
}

impl Reports {
    /// Stores, and sets no limits.
    pub const fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            limiting: None,
        }
    }

    pub fn of(platform: Platform) -> Self {
        Self {
            store: platform.store.clone(),
            clock: platform.clock.clone(),
            limiting: Some(Arc::new(platform)),
        }
    }

    /// Answers a node that asks for room under its organization's limits; `None`: it has none here.
    pub async fn allowance(
        &self,
        instance: DatabaseId,
        request: &AllowanceRequest,
    ) -> Result<Option<Allowance>, AppError> {
        match &self.limiting {
            Some(platform) => limits::answer(platform, instance, request).await,
            None => Ok(None),
        }
    }

    /// Whether an instance, of a database or of a drill, is this region's.
    pub async fn is_of_region(
        &self,
        region: &str,
        instance: DatabaseId,
    ) -> Result<bool, StoreError> {
        let mut tx = self.store.region().await?;
        let is_ours = desired::is_of_region(&mut tx, region, instance).await?;
        tx.commit().await?;
        Ok(is_ours)
    }

    /// Stores samples of one instance, oldest first. Answers, for each incarnation among them, the
    /// sequence up to which its samples are stored and may be forgotten. On an error nothing was
    /// stored; [`IngestError::is_transient`] says whether the same batch may be taken later.
    pub async fn samples(
        &self,
        instance: DatabaseId,
        samples: &[UsageSample],
    ) -> Result<Vec<(IncarnationId, u64)>, IngestError> {
        let mut tx = self.store.region().await?;
        let stored = usage::ingest(&mut tx, instance, samples, self.clock.now()).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Writes a span when it begins, every minute or so while it lasts, and when it ends.
    pub async fn compute_span(&self, span: ComputeSpan) -> Result<(), IngestError> {
        let mut tx = self.store.region().await?;
        usage::record_span(&mut tx, span).await?;
        tx.commit().await?;
        Ok(())
    }
}
