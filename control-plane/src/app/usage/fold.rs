//! From samples to hours: values in, values out.

use lumadb_contract::usage::{UsageCounters, UsageSample};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// How far ahead of our clock a sample's time may be.
pub(super) const CLOCK_SKEW_MAX: Duration = Duration::minutes(5);

/// Why a batch is not taken. Its text is for the log of whoever runs the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("sample {sequence} says {taken_at}, which is more than {CLOCK_SKEW_MAX} ahead of now")]
    Future {
        sequence: u64,
        taken_at: OffsetDateTime,
    },
    #[error("sample {sequence} counts {meter} {now}, fewer than {before} before it")]
    Shrank {
        sequence: u64,
        meter: &'static str,
        before: u64,
        now: u64,
    },
    #[error("sample {sequence} is out of range")]
    OutOfRange { sequence: u64 },
    #[error("{0}")]
    Invalid(String),
}

/// The last sample of an incarnation that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub sequence: u64,
    pub counters: UsageCounters,
}

/// How far a database's stored bytes are folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Front {
    pub at: OffsetDateTime,
    pub storage_bytes: u64,
    /// The database went to sleep with this: it holds until the next sample.
    pub held: bool,
}

/// What is added to one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hour {
    pub counters: UsageCounters,
    pub storage_byte_us: u128,
}

/// What a batch of one incarnation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Those that were not stored yet, in order.
    pub fresh: Vec<UsageSample>,
    /// Sequences that were passed over.
    pub gaps: u64,
    pub front: Option<Front>,
    /// By the start of the hour.
    pub hours: BTreeMap<OffsetDateTime, Hour>,
}

/// Folds samples of one incarnation behind `mark`. Those at or below it change nothing.
pub(super) fn fold(
    mark: Option<Mark>,
    front: Option<Front>,
    samples: &[UsageSample],
    now: OffsetDateTime,
) -> Result<Folded, Refusal> {
    let mut last = mark.unwrap_or(Mark {
        sequence: 0,
        counters: UsageCounters::default(),
    });
    let mut folded = Folded {
        fresh: Vec::new(),
        gaps: 0,
        front,
        hours: BTreeMap::new(),
    };
    let mut ordered: Vec<&UsageSample> = samples.iter().collect();
    ordered.sort_by_key(|sample| sample.sequence);
    for sample in ordered {
        check_range(sample, now)?;
        if sample.sequence <= last.sequence {
            continue;
        }
        let grown = difference(sample, &last.counters)?;
        folded.gaps += sample.sequence - last.sequence - 1;
        add(
            &mut folded
                .hours
                .entry(hour_start(sample.taken_at))
                .or_default()
                .counters,
            &grown,
        );
        folded.front = Some(advance(folded.front, sample, &mut folded.hours));
        last = Mark {
            sequence: sample.sequence,
            counters: sample.counters,
        };
        folded.fresh.push(sample.clone());
    }
    Ok(folded)
}

fn check_range(sample: &UsageSample, now: OffsetDateTime) -> Result<(), Refusal> {
    let sequence = sample.sequence;
    if sample.taken_at > now + CLOCK_SKEW_MAX {
        return Err(Refusal::Future {
            sequence,
            taken_at: sample.taken_at,
        });
    }
    let counters = meters(&sample.counters).map(|(_, value)| value);
    let fits = counters
        .into_iter()
        .chain([sequence, sample.gauges.storage_bytes])
        .all(|value| i64::try_from(value).is_ok())
        && i32::try_from(sample.gauges.connections).is_ok();
    if sequence == 0 || !fits || sample.taken_at < OffsetDateTime::UNIX_EPOCH {
        return Err(Refusal::OutOfRange { sequence });
    }
    Ok(())
}

fn meters(counters: &UsageCounters) -> [(&'static str, u64); 5] {
    [
        ("requests", counters.requests),
        ("errors", counters.errors),
        ("transfer_out_bytes", counters.transfer_out_bytes),
        ("vector_operations", counters.vector_operations),
        ("connections_opened", counters.connections_opened),
    ]
}

fn difference(sample: &UsageSample, before: &UsageCounters) -> Result<UsageCounters, Refusal> {
    for ((meter, now), (_, before)) in meters(&sample.counters).into_iter().zip(meters(before)) {
        if now < before {
            return Err(Refusal::Shrank {
                sequence: sample.sequence,
                meter,
                before,
                now,
            });
        }
    }
    let now = &sample.counters;
    Ok(UsageCounters {
        requests: now.requests - before.requests,
        errors: now.errors - before.errors,
        transfer_out_bytes: now.transfer_out_bytes - before.transfer_out_bytes,
        vector_operations: now.vector_operations - before.vector_operations,
        connections_opened: now.connections_opened - before.connections_opened,
    })
}

/// Adds counters; at the top of the range it stays there.
pub(super) fn add(to: &mut UsageCounters, more: &UsageCounters) {
    to.requests = to.requests.saturating_add(more.requests);
    to.errors = to.errors.saturating_add(more.errors);
    to.transfer_out_bytes = to
        .transfer_out_bytes
        .saturating_add(more.transfer_out_bytes);
    to.vector_operations = to.vector_operations.saturating_add(more.vector_operations);
    to.connections_opened = to
        .connections_opened
        .saturating_add(more.connections_opened);
}

/// Moves the front to a sample and adds the bytes stored on the way. What lies behind the front is
/// folded already: a sample from there moves nothing.
fn advance(
    front: Option<Front>,
    sample: &UsageSample,
    hours: &mut BTreeMap<OffsetDateTime, Hour>,
) -> Front {
    let here = Front {
        at: sample.taken_at,
        storage_bytes: sample.gauges.storage_bytes,
        held: sample.last,
    };
    let Some(front) = front else { return here };
    if here.at < front.at {
        return front;
    }
    let bytes = if front.held {
        front.storage_bytes
    } else {
        front.storage_bytes.min(here.storage_bytes)
    };
    for (hour, microseconds) in split_by_hour(front.at, here.at) {
        hours.entry(hour).or_default().storage_byte_us += u128::from(bytes) * microseconds;
    }
    here
}

/// Start of the hour (UTC) that holds this moment.
pub(super) fn hour_start(at: OffsetDateTime) -> OffsetDateTime {
    let seconds = at.unix_timestamp();
    OffsetDateTime::from_unix_timestamp(seconds - seconds.rem_euclid(3600)).unwrap_or(at)
}

/// The hours that `from..to` touches, each with how many microseconds of it lie inside.
pub(in crate::app) fn split_by_hour(
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Vec<(OffsetDateTime, u128)> {
    let mut parts = Vec::new();
    let mut at = from;
    while at < to {
        let hour = hour_start(at);
        let end = (hour + Duration::hours(1)).min(to);
        parts.push((
            hour,
            (end - at).whole_microseconds().try_into().unwrap_or(0),
        ));
        at = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::id::IncarnationId;
    use lumadb_contract::usage::UsageGauges;
    use proptest::prelude::*;
    use time::macros::datetime;
    use uuid::Uuid;

    const START: OffsetDateTime = datetime!(2026-11-01 10:59:50 UTC);
    const NOW: OffsetDateTime = datetime!(2026-11-03 00:00 UTC);

    fn sample(sequence: u64, seconds: i64, requests: u64, storage_bytes: u64) -> UsageSample {
        UsageSample {
            incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(1)),
            sequence,
            taken_at: START + Duration::seconds(seconds),
            counters: UsageCounters {
                requests,
                ..UsageCounters::default()
            },
            gauges: UsageGauges {
                storage_bytes,
                connections: 0,
            },
            last: false,
        }
    }

    fn total(hours: &BTreeMap<OffsetDateTime, Hour>) -> (u64, u128) {
        hours.values().fold((0, 0), |(requests, bytes), hour| {
            (
                requests + hour.counters.requests,
                bytes + hour.storage_byte_us,
            )
        })
    }

    #[test]
    fn the_first_sample_counts_from_zero_and_hours_split_where_they_should() {
        let samples = [sample(1, 0, 7, 100), sample(2, 20, 10, 50)];
        let folded = fold(None, None, &samples, NOW).expect("valid");
        let hours: Vec<_> = folded.hours.into_iter().collect();
        assert_eq!(hours[0].0, datetime!(2026-11-01 10:00 UTC));
        assert_eq!(hours[0].1.counters.requests, 7);
        assert_eq!(hours[0].1.storage_byte_us, 50 * 10_000_000);
        assert_eq!(hours[1].1.counters.requests, 3);
        assert_eq!(hours[1].1.storage_byte_us, 50 * 10_000_000);
    }

    #[test]
    fn a_last_sample_holds_until_the_next_incarnation() {
        let asleep = Front {
            at: START,
            storage_bytes: 1000,
            held: true,
        };
        let folded = fold(None, Some(asleep), &[sample(1, 3600, 0, 1)], NOW).expect("valid");
        assert_eq!(total(&folded.hours).1, 1000 * 3_600_000_000);
    }

    #[test]
    fn what_shrinks_lies_ahead_or_overflows_is_refused() {
        let shrinks = [sample(1, 0, 7, 0), sample(2, 1, 6, 0)];
        assert!(matches!(
            fold(None, None, &shrinks, NOW),
            Err(Refusal::Shrank {
                meter: "requests",
                ..
            })
        ));
        assert!(matches!(
            fold(None, None, &[sample(1, 500_000, 0, 0)], NOW),
            Err(Refusal::Future { .. })
        ));
        assert!(matches!(
            fold(None, None, &[sample(1, 0, u64::MAX, 0)], NOW),
            Err(Refusal::OutOfRange { .. })
        ));
        assert!(matches!(
            fold(None, None, &[sample(0, 0, 0, 0)], NOW),
            Err(Refusal::OutOfRange { .. })
        ));
    }

    proptest! {
        /// However samples are cut into batches, repeated and shuffled within a batch, the hours
        /// come to the same.
        #[test]
        fn batches_repeats_and_order_change_nothing(
            steps in proptest::collection::vec((1i64..4000, 0u64..50, 0u64..1000), 1..30),
            cuts in proptest::collection::vec(1usize..6, 1..30),
        ) {
            let (mut at, mut requests) = (0, 0);
            let mut samples = Vec::new();
            for (index, (wait, more, bytes)) in steps.iter().enumerate() {
                at += wait;
                requests += more;
                samples.push(sample(index as u64 + 1, at, requests, *bytes));
            }
            let once = fold(None, None, &samples, NOW).expect("valid");

            let (mut mark, mut front) = (None, None);
            let mut hours: BTreeMap<OffsetDateTime, Hour> = BTreeMap::new();
            let mut rest = samples.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                let mut batch: Vec<_> = now.to_vec();
                batch.reverse();
                batch.extend_from_slice(&samples[..samples.len() - rest.len()]);
                for _ in 0..2 {
                    let part = fold(mark, front, &batch, NOW).expect("valid");
                    if let Some(last) = part.fresh.last() {
                        mark = Some(Mark { sequence: last.sequence, counters: last.counters });
                    }
                    front = part.front;
                    for (start, hour) in part.hours {
                        let sum = hours.entry(start).or_default();
                        add(&mut sum.counters, &hour.counters);
                        sum.storage_byte_us += hour.storage_byte_us;
                    }
                }
                rest = later;
            }
            prop_assert_eq!(&hours, &once.hours);
            prop_assert_eq!(total(&hours).0, requests);
        }
    }
}
