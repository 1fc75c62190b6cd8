//! Live figures of a database, for charts.

use crate::app::authorize::authorize;
use crate::app::billing;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::usage::{self, PointRow};
use lumadb_contract::id::DatabaseId;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

const MINUTES_DEFAULT: u32 = 15;
const MINUTES_MAX: u32 = 24 * 60;
/// Points of the shortest and of the longest chart.
const POINTS: u32 = 180;
const INTERVAL_SECONDS_MIN: u32 = 2;

/// How far back.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MetricsQuery {
    #[param(minimum = 1, maximum = 1440, default = 15)]
    pub minutes: Option<u32>,
}

/// Figures at even distances, the oldest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Metrics {
    pub interval_seconds: u32,
    pub points: Vec<MetricsPoint>,
}

/// Rates over the interval that ends at `at`, and the last known sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricsPoint {
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub requests_per_second: f64,
    pub errors_per_second: f64,
    pub transfer_out_bytes_per_second: f64,
    pub connections: u32,
    pub storage_bytes: u64,
}

pub async fn metrics_get(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    query: MetricsQuery,
) -> Result<Metrics, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    let minutes = query.minutes.unwrap_or(MINUTES_DEFAULT);
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(AppError::field("minutes", format!("is 1 to {MINUTES_MAX}")));
    }
    let interval_seconds = (minutes * 60 / POINTS).max(INTERVAL_SECONDS_MIN);
    let interval = i64::from(interval_seconds);
    let mut tx = platform.store.tenant(member.organization).await?;
    let now = billing::now(platform, &mut EitherTx::Tenant(&mut tx)).await?;
    let now = now.unix_timestamp();
    let last = now - now.rem_euclid(interval);
    let first = last - i64::from(minutes) * 60;
    let rows = usage::points(&mut tx, id, first, interval_seconds).await?;
    tx.commit().await?;
    Ok(Metrics {
        interval_seconds,
        points: points(&rows, first, last, interval),
    })
}

/// `rows`: the last sample of each incarnation in each interval, and the last one before the first
/// interval, in order of time.
fn points(rows: &[PointRow], first: i64, last: i64, interval: i64) -> Vec<MetricsPoint> {
    let mut points = Vec::new();
    let mut rows = rows.iter().peekable();
    let mut before: Option<&PointRow> = None;
    let mut end = first;
    while end <= last {
        let (mut requests, mut errors, mut transfer) = (0, 0, 0);
        while let Some(row) = rows.next_if(|row| row.taken_at.unix_timestamp() < end) {
            // What came before the chart began is where it counts from.
            if end > first {
                let known = before.filter(|before| before.incarnation_id == row.incarnation_id);
                // An incarnation that began earlier counts from its first sample that is here.
                let base = known.or((!row.is_new).then_some(row));
                requests += row.requests - base.map_or(0, |base| base.requests);
                errors += row.errors - base.map_or(0, |base| base.errors);
                transfer += row.transfer_out_bytes - base.map_or(0, |base| base.transfer_out_bytes);
            }
            before = Some(row);
        }
        if end > first {
            points.push(MetricsPoint {
                at: OffsetDateTime::from_unix_timestamp(end).unwrap_or(OffsetDateTime::UNIX_EPOCH),
                requests_per_second: rate(requests, interval),
                errors_per_second: rate(errors, interval),
                transfer_out_bytes_per_second: rate(transfer, interval),
                connections: before
                    .map_or(0, |row| u32::try_from(row.connections).unwrap_or_default()),
                storage_bytes: before.map_or(0, |row| {
                    u64::try_from(row.storage_bytes).unwrap_or_default()
                }),
            });
        }
        end += interval;
    }
    points
}

/// Samples of two incarnations may mix in time; nothing is drawn below zero.
#[expect(
    clippy::cast_precision_loss,
    reason = "a chart needs no more than 52 bits"
)]
fn rate(count: i64, interval: i64) -> f64 {
    count.max(0) as f64 / interval as f64
}

/// Where samples of so long ago may lie that a chart counts from them.
pub const LOOK_BACK: Duration = Duration::hours(1);

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::id::IncarnationId;
    use uuid::Uuid;

    fn row(incarnation: u128, at: i64, requests: i64) -> PointRow {
        PointRow {
            incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(incarnation)),
            taken_at: OffsetDateTime::from_unix_timestamp(at).expect("a time"),
            requests,
            errors: 0,
            transfer_out_bytes: 0,
            storage_bytes: at,
            connections: 1,
            is_new: true,
        }
    }

    #[test]
    fn rates_count_from_before_the_chart_and_restart_with_an_incarnation() {
        let rows = [row(1, 95, 100), row(1, 105, 150), row(2, 115, 20)];
        let points = points(&rows, 100, 130, 10);
        let rates: Vec<_> = points.iter().map(|p| p.requests_per_second).collect();
        assert_eq!(rates, [5.0, 2.0, 0.0]);
        assert_eq!(points[2].storage_bytes, 115);
        assert_eq!(points[2].at.unix_timestamp(), 130);
    }
}
