//! Taking samples in: once each, whatever comes again.

use super::fold::{Folded, Front, Mark, Refusal, fold, split_by_hour};
use crate::runtime::ComputeSpan;
use crate::store::billing::close;
use crate::store::usage::Counted;
use crate::store::{RegionTx, StoreError, drill, usage};
use lumadb_contract::id::{DatabaseId, IncarnationId, OrganizationId};
use lumadb_contract::usage::UsageSample;
use std::collections::{BTreeMap, BTreeSet};
use time::{Date, Duration, OffsetDateTime, UtcOffset};

/// Why samples or a span were not stored.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("usage of {instance} was refused: {refusal}")]
    Refused {
        instance: DatabaseId,
        #[source]
        refusal: Refusal,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IngestError {
    /// Whether the same batch may be taken later.
    pub fn is_transient(&self) -> bool {
        match self {
            // A clock that runs ahead is caught up with.
            Self::Refused { refusal, .. } => matches!(refusal, Refusal::Future { .. }),
            Self::Store(error) => error.is_transient(),
        }
    }
}

/// Stores samples of one instance and folds them into hours. Answers, for each incarnation, the
/// sequence up to which samples are stored.
pub async fn ingest(
    tx: &mut RegionTx,
    instance: DatabaseId,
    samples: &[UsageSample],
    now: OffsetDateTime,
) -> Result<Vec<(IncarnationId, u64)>, IngestError> {
    let refused = |refusal| IngestError::Refused { instance, refusal };
    let Some(owner) = usage::owner_lock(tx, instance).await? else {
        if drill::is_scratch(tx, instance).await? {
            return Ok(high_marks(samples));
        }
        return Err(refused(Refusal::Invalid("no such database".into())));
    };
    // Usage is kept in billing's time.
    let now = now + owner.ahead;
    let mut by_incarnation: BTreeMap<IncarnationId, Vec<UsageSample>> = BTreeMap::new();
    for sample in samples {
        by_incarnation
            .entry(sample.incarnation_id)
            .or_default()
            .push(UsageSample {
                taken_at: sample.taken_at + owner.ahead,
                ..sample.clone()
            });
    }
    let mut stored = Vec::new();
    for (incarnation, batch) in by_incarnation {
        let known = usage::incarnation(tx, incarnation).await?;
        if known.is_some_and(|known| known.instance != instance) {
            return Err(refused(Refusal::Invalid(format!(
                "{incarnation} belongs to another database"
            ))));
        }
        let mark = known.map(|known| known.mark);
        let front = usage::front(tx, instance).await?;
        let folded = fold(mark, front, &batch, now).map_err(refused)?;
        let sequence = folded
            .fresh
            .last()
            .map(|last| last.sequence)
            .or(mark.map(|mark| mark.sequence))
            .unwrap_or_default();
        if !folded.fresh.is_empty() {
            let by = Counted {
                organization: owner.organization,
                database: known.map_or(owner.database, |known| known.database),
                instance,
            };
            usage::store(tx, by, incarnation, &folded, now).await?;
            let months = folded.hours.keys().map(|hour| month_start(*hour)).collect();
            mark_late(tx, owner.organization, months, now).await?;
        }
        stored.push((incarnation, sequence));
    }
    Ok(stored)
}

/// What may be forgotten where nobody pays: everything.
fn high_marks(samples: &[UsageSample]) -> Vec<(IncarnationId, u64)> {
    let mut marks: BTreeMap<IncarnationId, u64> = BTreeMap::new();
    for sample in samples {
        let mark = marks.entry(sample.incarnation_id).or_default();
        *mark = sample.sequence.max(*mark);
    }
    marks.into_iter().collect()
}

/// Ends what a deleted database holds: its stored bytes count up to now, and no further.
pub async fn close(
    tx: &mut RegionTx,
    instance: DatabaseId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    fold_held(tx, instance, now, false).await
}

/// Counts what an instance holds up to now for the database that it belongs to: from here on it
/// belongs to another.
pub async fn pass_on(
    tx: &mut RegionTx,
    instance: DatabaseId,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    fold_held(tx, instance, now, true).await
}

async fn fold_held(
    tx: &mut RegionTx,
    instance: DatabaseId,
    now: OffsetDateTime,
    held: bool,
) -> Result<(), StoreError> {
    let Some(owner) = usage::owner_lock(tx, instance).await? else {
        return Ok(());
    };
    let now = now + owner.ahead;
    let front = usage::front(tx, instance).await?;
    let Some(front) = front.filter(|front| front.held && front.at < now) else {
        return Ok(());
    };
    let mut folded = Folded {
        fresh: Vec::new(),
        gaps: 0,
        front: Some(Front {
            at: now,
            held,
            ..front
        }),
        hours: BTreeMap::new(),
    };
    for (hour, microseconds) in split_by_hour(front.at, now) {
        folded.hours.entry(hour).or_default().storage_byte_us =
            u128::from(front.storage_bytes) * microseconds;
    }
    let by = Counted {
        organization: owner.organization,
        database: owner.database,
        instance,
    };
    usage::store_folded(tx, by, &folded).await
}

/// Notes months that may be closed already.
async fn mark_late(
    tx: &mut RegionTx,
    organization: OrganizationId,
    mut months: BTreeSet<Date>,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    months.remove(&month_start(now));
    if months.is_empty() {
        return Ok(());
    }
    let months: Vec<Date> = months.into_iter().collect();
    close::late_mark(tx, organization, &months).await
}

/// First day of the month (UTC) that holds this moment.
fn month_start(at: OffsetDateTime) -> Date {
    let date = at.to_offset(UtcOffset::UTC).date();
    date.replace_day(1).unwrap_or(date)
}

/// Stores a span of compute or moves its end.
pub async fn record_span(tx: &mut RegionTx, span: ComputeSpan) -> Result<(), IngestError> {
    let instance = span.database_id;
    let refused = |text: &str| IngestError::Refused {
        instance,
        refusal: Refusal::Invalid(text.to_owned()),
    };
    if span.ended_at.is_some_and(|end| end < span.started_at) {
        return Err(refused("a span of compute ends before it starts"));
    }
    let milli_vcpu =
        i32::try_from(span.milli_vcpu).map_err(|_| refused("a span of compute is too large"))?;
    let Some(owner) = usage::owner_lock(tx, instance).await? else {
        if drill::is_scratch(tx, instance).await? {
            return Ok(());
        }
        return Err(refused("no such database"));
    };
    let grown = usage::record_span(tx, span, milli_vcpu).await?;
    let mut months = BTreeSet::new();
    let mut at = grown.from;
    while at < grown.to {
        months.insert(month_start(at));
        at = month_start(month_start(at).midnight().assume_utc() + Duration::days(32))
            .midnight()
            .assume_utc();
    }
    mark_late(tx, owner.organization, months, grown.open_from).await?;
    Ok(())
}

impl Mark {
    pub const fn of(sample: &UsageSample) -> Self {
        Self {
            sequence: sample.sequence,
            counters: sample.counters,
        }
    }
}
