//! Usage into stretches, meters and pools.
//!
//! Hours and spans become pieces: so much of a meter, spread evenly over a time. A piece falls into
//! the stretches and days that it touches, by the time in each, rounded down in the earlier ones so
//! that nothing is lost: for spans that is exact, because their compute is steady.

use super::RatingError;
use super::input::{ComputeSpan, Usage, UsageHour};
use super::terms::Stretch;
use crate::exact::mul_div_down;
use crate::period::us_between;
use crate::price_book::Per;
use lumadb_contract::id::{DatabaseId, IncarnationId};
use lumadb_contract::meter::Meter;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// So much of a meter, spread evenly over a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub database: DatabaseId,
    pub meter: Meter,
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
    /// In counted units.
    pub quantity: u128,
}

/// What databases used together, against one included amount.
pub(super) type Pool = BTreeMap<DatabaseId, u128>;

/// The pools of one stretch: by meter, then by the moment from which the pool is.
pub(super) type Pools = BTreeMap<Meter, BTreeMap<OffsetDateTime, Pool>>;

/// The pieces of usage between two moments.
pub(super) fn pieces(
    usage: &Usage,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<Piece>, RatingError> {
    let mut pieces = Vec::new();
    for hour in unique_hours(&usage.hours)? {
        let ends_at = hour.starts_at + Duration::HOUR;
        if hour.starts_at < from || hour.starts_at >= to {
            continue;
        }
        for (meter, quantity) in [
            (Meter::Storage, hour.storage_byte_us),
            (Meter::Requests, hour.requests.into()),
            (Meter::TransferOut, hour.transfer_out_bytes.into()),
            (Meter::VectorOperations, hour.vector_operations.into()),
        ] {
            if quantity > 0 {
                pieces.push(Piece {
                    database: hour.database,
                    meter,
                    from: hour.starts_at,
                    to: ends_at,
                    quantity,
                });
            }
        }
    }
    for span in unique_spans(&usage.spans)? {
        let (from, to) = (span.started_at.max(from), span.ended_at.min(to));
        let quantity = u128::from(span.milli_vcpu) * us_between(from, to);
        if quantity > 0 {
            pieces.push(Piece {
                database: span.database,
                meter: Meter::Compute,
                from,
                to,
                quantity,
            });
        }
    }
    Ok(pieces)
}

/// Each hour of each database once.
fn unique_hours(hours: &[UsageHour]) -> Result<Vec<&UsageHour>, RatingError> {
    let mut ordered: Vec<&UsageHour> = hours.iter().collect();
    ordered.sort_by_key(|hour| (hour.database, hour.starts_at));
    ordered.dedup();
    for hour in &ordered {
        if hour.starts_at.unix_timestamp_nanos() % 3_600_000_000_000 != 0 {
            return Err(RatingError::NotAnHour {
                database: hour.database,
                starts_at: hour.starts_at,
            });
        }
    }
    let twice = ordered.windows(2).find(|pair| {
        (pair[0].database, pair[0].starts_at) == (pair[1].database, pair[1].starts_at)
    });
    match twice {
        Some(pair) => Err(RatingError::HoursDiffer {
            database: pair[0].database,
            starts_at: pair[0].starts_at,
        }),
        None => Ok(ordered),
    }
}

/// Each span of each incarnation once.
fn unique_spans(spans: &[ComputeSpan]) -> Result<Vec<&ComputeSpan>, RatingError> {
    let key = |span: &ComputeSpan| -> (IncarnationId, OffsetDateTime, OffsetDateTime) {
        (span.incarnation, span.started_at, span.ended_at)
    };
    let mut ordered: Vec<&ComputeSpan> = spans.iter().collect();
    ordered.sort_by_key(|span| key(span));
    ordered.dedup();
    for span in &ordered {
        if span.ended_at < span.started_at {
            return Err(RatingError::SpanReversed {
                incarnation: span.incarnation,
                started_at: span.started_at,
            });
        }
    }
    let overlap = ordered.windows(2).find(|pair| {
        pair[0].incarnation == pair[1].incarnation && pair[1].started_at < pair[0].ended_at
    });
    match overlap {
        Some(pair) => Err(RatingError::SpansOverlap {
            incarnation: pair[1].incarnation,
            started_at: pair[1].started_at,
        }),
        None => Ok(ordered),
    }
}

/// Puts pieces into the pools of the stretches, one set of pools for each stretch.
pub(super) fn pool(pieces: &[Piece], stretches: &[Stretch<'_>]) -> Result<Vec<Pools>, RatingError> {
    let mut pools = vec![Pools::new(); stretches.len()];
    for piece in pieces {
        let parts = parts(piece, stretches);
        let covered_us: u128 = parts.iter().map(|part| part.us).sum();
        let compute_us = us_between(piece.from, piece.to);
        if covered_us == 0 || (piece.meter == Meter::Compute && covered_us < compute_us) {
            return Err(RatingError::NoPlan { at: piece.from });
        }
        let (mut passed_us, mut given) = (0, 0);
        for part in parts {
            passed_us += part.us;
            let until = mul_div_down(piece.quantity, passed_us, covered_us)
                .ok_or(RatingError::OutOfRange)?;
            // A part of a second may have got nothing: that is no use, and makes no line.
            if until == given {
                continue;
            }
            let used = pools[part.stretch]
                .entry(piece.meter)
                .or_default()
                .entry(part.pool)
                .or_default()
                .entry(piece.database)
                .or_default();
            *used = used
                .checked_add(until - given)
                .ok_or(RatingError::OutOfRange)?;
            given = until;
        }
    }
    Ok(pools)
}

/// The time of a piece that lies in one pool.
struct Part {
    stretch: usize,
    pool: OffsetDateTime,
    us: u128,
}

fn parts(piece: &Piece, stretches: &[Stretch<'_>]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(1);
    for (index, stretch) in stretches.iter().enumerate() {
        let (mut from, to) = (piece.from.max(stretch.from), piece.to.min(stretch.to));
        let daily = stretch
            .included(piece.meter)
            .is_some_and(|included| included.per == Per::Day);
        while from < to {
            let (pool, until) = if daily {
                let day = from.replace_time(time::Time::MIDNIGHT);
                (day.max(stretch.from), (day + Duration::DAY).min(to))
            } else {
                (stretch.from, to)
            };
            parts.push(Part {
                stretch: index,
                pool,
                us: us_between(from, until),
            });
            from = until;
        }
    }
    parts
}
