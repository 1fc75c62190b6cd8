//! Usage of a database by hour, day or month.

use super::fold::{Front, hour_start, split_by_hour};
use crate::app::authorize::authorize;
use crate::app::billing;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::usage::HourOf;
use crate::store::usage::{self, HourRow, SpanRow};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

/// Longest range by the hour, and by the day.
const HOURS_MAX: i64 = 31 * 24;
const DAYS_MAX: i64 = 366;
/// The same by the month.
const MONTHS_MAX: i64 = 24;

/// Which part of the past.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// RFC 3339; cut to the hour or the day (UTC). The start of today if left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub from: Option<OffsetDateTime>,
    /// RFC 3339, not included; the end of the running hour or day if left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub to: Option<OffsetDateTime>,
    #[serde(default)]
    pub granularity: Granularity,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    #[default]
    Hour,
    Day,
    Month,
}

/// Usage of one database.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// Not included.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    pub granularity: Granularity,
    pub totals: Quantities,
    /// Hours, days or months (UTC) in which something was used, the oldest first.
    pub items: Vec<UsageItem>,
}

/// Usage of one hour or day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsageItem {
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    #[serde(flatten)]
    pub quantities: Quantities,
}

/// Exact quantities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quantities {
    /// Commands that clients sent and the engine answered.
    pub requests: u64,
    /// Those of them that ended in an error.
    pub errors: u64,
    /// Bytes to clients, before TLS.
    pub transfer_out_bytes: u64,
    pub vector_operations: u64,
    /// Granted compute times time, thousandths of a vCPU times seconds, rounded down.
    pub compute_milli_vcpu_seconds: u64,
    /// Bytes times seconds, rounded down; a decimal integer that may be larger than 2^53.
    #[schema(pattern = "^[0-9]+$", examples("86400000000"))]
    pub storage_byte_seconds: String,
}

/// Sums, not rounded yet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    requests: u64,
    errors: u64,
    transfer_out_bytes: u64,
    vector_operations: u64,
    compute_milli_vcpu_us: u128,
    storage_byte_us: u128,
}

impl Sums {
    /// What is folded in an hour.
    pub(super) fn of_hour(of: &HourOf) -> Self {
        Self {
            requests: of.hour.requests,
            errors: of.errors,
            transfer_out_bytes: of.hour.transfer_out_bytes,
            vector_operations: of.hour.vector_operations,
            compute_milli_vcpu_us: 0,
            storage_byte_us: of.hour.storage_byte_us,
        }
    }

    /// So much compute for so many microseconds.
    pub(super) fn of_compute(milli_vcpu: u32, us: u128) -> Self {
        Self {
            compute_milli_vcpu_us: u128::from(milli_vcpu) * us,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.errors = self.errors.saturating_add(more.errors);
        self.transfer_out_bytes = self
            .transfer_out_bytes
            .saturating_add(more.transfer_out_bytes);
        self.vector_operations = self
            .vector_operations
            .saturating_add(more.vector_operations);
        self.compute_milli_vcpu_us += more.compute_milli_vcpu_us;
        self.storage_byte_us += more.storage_byte_us;
    }

    /// In counted units of a meter.
    pub(super) fn counted(&self, meter: Meter) -> u128 {
        match meter {
            Meter::Storage => self.storage_byte_us,
            Meter::Compute => self.compute_milli_vcpu_us,
            Meter::Requests => self.requests.into(),
            Meter::TransferOut => self.transfer_out_bytes.into(),
            Meter::VectorOperations => self.vector_operations.into(),
        }
    }

    pub(super) fn quantities(&self) -> Quantities {
        Quantities {
            requests: self.requests,
            errors: self.errors,
            transfer_out_bytes: self.transfer_out_bytes,
            vector_operations: self.vector_operations,
            compute_milli_vcpu_seconds: u64::try_from(self.compute_milli_vcpu_us / 1_000_000)
                .unwrap_or(u64::MAX),
            storage_byte_seconds: (self.storage_byte_us / 1_000_000).to_string(),
        }
    }
}

pub async fn usage_get(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    query: UsageQuery,
) -> Result<Usage, AppError> {
    let member = authorize(platform, caller, id, Action::UsageRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let now = billing::now(platform, &mut EitherTx::Tenant(&mut tx)).await?;
    let (from, to) = range_of(query.from, query.to, query.granularity, now)?;
    let hours = usage::hours(&mut tx, id, from, to).await?;
    let spans = usage::spans(&mut tx, id, from, to).await?;
    let front = usage::tenant_front(&mut tx, id).await?;
    tx.commit().await?;
    let sums = sum(&hours, &spans, front, from, to, now);
    Ok(present(query.granularity, from, to, &sums))
}

/// Checks and cuts the range to whole hours, days or months.
pub(super) fn range_of(
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
    granularity: Granularity,
    now: OffsetDateTime,
) -> Result<(OffsetDateTime, OffsetDateTime), AppError> {
    let (steps_max, step) = match granularity {
        Granularity::Hour => (HOURS_MAX, Duration::HOUR),
        Granularity::Day => (DAYS_MAX, Duration::DAY),
        Granularity::Month => (MONTHS_MAX, Duration::days(28)),
    };
    let cut = |at| start_of(granularity, at);
    let from = cut(from.unwrap_or_else(|| day_start(now)));
    let to = match to {
        Some(to) if cut(to) == to => to,
        Some(to) => end_of(granularity, to),
        None => end_of(granularity, now),
    };
    let steps = (to - from).whole_seconds() / step.whole_seconds();
    if steps < 1 {
        return Err(AppError::field("to", "is after `from`"));
    }
    // Months are longer than the step: two years of them are 26 steps.
    let most = match granularity {
        Granularity::Month => steps_max + 2,
        Granularity::Hour | Granularity::Day => steps_max,
    };
    if steps > most {
        return Err(AppError::field(
            "from",
            format!("a range has at most {steps_max} items"),
        ));
    }
    Ok((from, to))
}

fn day_start(at: OffsetDateTime) -> OffsetDateTime {
    let seconds = at.unix_timestamp();
    OffsetDateTime::from_unix_timestamp(seconds - seconds.rem_euclid(86400)).unwrap_or(at)
}

pub(super) fn start_of(granularity: Granularity, at: OffsetDateTime) -> OffsetDateTime {
    match granularity {
        Granularity::Hour => hour_start(at),
        Granularity::Day => day_start(at),
        Granularity::Month => {
            let day = day_start(at);
            day.replace_day(1).unwrap_or(day)
        }
    }
}

/// Start of the hour, day or month after the one that holds this moment.
pub(super) fn end_of(granularity: Granularity, at: OffsetDateTime) -> OffsetDateTime {
    let longest = match granularity {
        Granularity::Hour => Duration::HOUR,
        Granularity::Day => Duration::DAY,
        Granularity::Month => Duration::days(31),
    };
    start_of(granularity, start_of(granularity, at) + longest)
}

/// By the hour: what is folded, what a sleeping database holds, and compute from its spans.
pub(super) fn sum(
    hours: &[HourRow],
    spans: &[SpanRow],
    front: Option<Front>,
    from: OffsetDateTime,
    to: OffsetDateTime,
    now: OffsetDateTime,
) -> BTreeMap<OffsetDateTime, Sums> {
    let mut sums: BTreeMap<OffsetDateTime, Sums> = BTreeMap::new();
    for hour in hours {
        sums.entry(hour.starts_at).or_default().add(&Sums {
            requests: hour.requests,
            errors: hour.errors,
            transfer_out_bytes: hour.transfer_out_bytes,
            vector_operations: hour.vector_operations,
            compute_milli_vcpu_us: 0,
            storage_byte_us: hour.storage_byte_us,
        });
    }
    if let Some(front) = front.filter(|front| front.held) {
        for (hour, us) in split_by_hour(front.at.max(from), to.min(now)) {
            sums.entry(hour).or_default().storage_byte_us += u128::from(front.storage_bytes) * us;
        }
    }
    for span in spans {
        let end = span.ended_at.unwrap_or(span.seen_at);
        for (hour, us) in split_by_hour(span.started_at.max(from), end.min(to)) {
            sums.entry(hour).or_default().compute_milli_vcpu_us += u128::from(span.milli_vcpu) * us;
        }
    }
    sums
}

fn present(
    granularity: Granularity,
    from: OffsetDateTime,
    to: OffsetDateTime,
    hours: &BTreeMap<OffsetDateTime, Sums>,
) -> Usage {
    let mut totals = Sums::default();
    let mut items: BTreeMap<OffsetDateTime, Sums> = BTreeMap::new();
    for (hour, sums) in hours {
        totals.add(sums);
        items
            .entry(start_of(granularity, *hour))
            .or_default()
            .add(sums);
    }
    Usage {
        from,
        to,
        granularity,
        totals: totals.quantities(),
        items: items
            .iter()
            .map(|(start, sums)| UsageItem {
                start: *start,
                quantities: sums.quantities(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_sleeping_database_pays_for_storage_and_not_for_compute() {
        let front = Front {
            at: datetime!(2026-11-01 10:00 UTC),
            storage_bytes: 1000,
            held: true,
        };
        let span = SpanRow {
            started_at: datetime!(2026-11-01 09:30 UTC),
            ended_at: Some(datetime!(2026-11-01 10:00 UTC)),
            seen_at: datetime!(2026-11-01 09:59 UTC),
            milli_vcpu: 250,
        };
        let (from, to) = (
            datetime!(2026-11-01 00:00 UTC),
            datetime!(2026-11-02 00:00 UTC),
        );
        let now = datetime!(2026-11-01 12:30 UTC);
        let sums = sum(&[], &[span], Some(front), from, to, now);
        let usage = present(Granularity::Day, from, to, &sums);
        assert_eq!(usage.items.len(), 1);
        assert_eq!(usage.totals.compute_milli_vcpu_seconds, 250 * 1800);
        assert_eq!(usage.totals.storage_byte_seconds, (1000 * 9000).to_string());
    }

    #[test]
    fn ranges_are_cut_to_whole_items_and_bounded() {
        let now = datetime!(2026-11-01 12:30 UTC);
        let ask = |from, to, granularity| range_of(from, to, granularity, now);
        let (from, to) = ask(None, None, Granularity::Hour).expect("a range");
        assert_eq!(from, datetime!(2026-11-01 00:00 UTC));
        assert_eq!(to, datetime!(2026-11-01 13:00 UTC));
        assert!(
            ask(
                Some(now),
                Some(datetime!(2026-10-01 0:00 UTC)),
                Granularity::Day
            )
            .is_err()
        );
        assert!(
            ask(
                Some(datetime!(2025-01-01 0:00 UTC)),
                Some(now),
                Granularity::Hour
            )
            .is_err()
        );
    }
}
