//! The samples behind an hour of a database.

use super::fold::hour_start;
use crate::app::authorize::authorize;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::usage::{self, SampleRow};
use lumadb_contract::id::{DatabaseId, IncarnationId};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 100;

/// Which hour, and which page of its samples.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SamplesQuery {
    /// RFC 3339: a moment in the hour.
    #[serde(with = "time::serde::rfc3339")]
    pub hour: OffsetDateTime,
    /// Most items in the answer.
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 64)]
    pub cursor: Option<String>,
}

/// Samples of an hour. What they added is what the hour counts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsageSamples {
    #[serde(with = "time::serde::rfc3339")]
    pub hour: OffsetDateTime,
    pub items: Vec<SampleView>,
    /// Times in this hour through which compute was granted; on the first page.
    pub spans: Vec<SpanView>,
    /// Ask with it for the next page; null on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// What a node counted, as it said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SampleView {
    pub incarnation_id: IncarnationId,
    /// 1, 2, 3 … within the incarnation.
    pub sequence: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub received_at: OffsetDateTime,
    pub storage_bytes: u64,
    /// More than the sample before it.
    pub added: SampleAdded,
}

/// What a sample added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SampleAdded {
    pub requests: u64,
    pub errors: u64,
    pub transfer_out_bytes: u64,
    pub vector_operations: u64,
}

/// A time through which compute was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpanView {
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    /// While it lasts: when it was last seen.
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// Thousandths of a vCPU.
    pub milli_vcpu: u32,
}

impl From<SampleRow> for SampleView {
    fn from(row: SampleRow) -> Self {
        let count = |value: i64| u64::try_from(value).unwrap_or_default();
        Self {
            incarnation_id: row.incarnation_id,
            sequence: count(row.sequence),
            taken_at: row.taken_at,
            received_at: row.received_at,
            storage_bytes: count(row.storage_bytes),
            added: SampleAdded {
                requests: count(row.requests),
                errors: count(row.errors),
                transfer_out_bytes: count(row.transfer_out_bytes),
                vector_operations: count(row.vector_operations),
            },
        }
    }
}

pub async fn samples_get(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    query: SamplesQuery,
) -> Result<UsageSamples, AppError> {
    let member = authorize(platform, caller, id, Action::UsageRead).await?;
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(AppError::field("limit", format!("is 1 to {LIMIT_MAX}")));
    }
    let after = query.cursor.as_deref().map(cursor).transpose()?;
    let hour = hour_start(query.hour);
    let end = hour + Duration::HOUR;
    let mut tx = platform.store.tenant(member.organization).await?;
    let fetch = i64::from(limit) + 1;
    let mut rows = usage::samples(&mut tx, id, hour, end, after, fetch).await?;
    let spans = match after {
        None => usage::spans(&mut tx, id, hour, end).await?,
        Some(_) => Vec::new(),
    };
    tx.commit().await?;
    let is_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().filter(|_| is_more);
    let next_cursor = last.map(|row| {
        let us = row.taken_at.unix_timestamp_nanos() / 1000;
        format!("{us}.{}.{}", row.sequence, row.incarnation_id)
    });
    let spans = spans.into_iter().map(|span| SpanView {
        from: span.started_at.max(hour),
        to: span.ended_at.unwrap_or(span.seen_at).min(end),
        milli_vcpu: span.milli_vcpu,
    });
    Ok(UsageSamples {
        hour,
        spans: spans.collect(),
        items: rows.into_iter().map(SampleView::from).collect(),
        next_cursor,
    })
}

/// The sample behind which a page starts.
fn cursor(text: &str) -> Result<(OffsetDateTime, i64, IncarnationId), AppError> {
    let read = || {
        let mut parts = text.splitn(3, '.');
        let us: i128 = parts.next()?.parse().ok()?;
        let sequence = parts.next()?.parse().ok()?;
        let incarnation = parts.next()?.parse().ok()?;
        let at = OffsetDateTime::from_unix_timestamp_nanos(us.checked_mul(1000)?).ok()?;
        Some((at, sequence, incarnation))
    };
    read().ok_or_else(|| AppError::field("cursor", "is not one that a page gave"))
}
