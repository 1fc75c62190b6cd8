//! Corrections: closed is closed, and what comes later is a line of the next invoice.

use super::RatingError;
use super::line::{Line, LineKind, Quantity, Share, UsageDetail};
use crate::period::Period;
use crate::price_book::PlanId;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::money::Cents;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Which lines are about the same thing.
type Key = (LineKind, PlanId, OffsetDateTime, OffsetDateTime);

fn key(line: &Line) -> Key {
    (line.kind, line.plan.clone(), line.from, line.to)
}

/// The lines that make what was billed for a closed period equal to what it is rated at now.
///
/// `billed` are the usage lines of its own invoice and all corrections of it so far, `rated` is the
/// period rated again, with everything known and with the terms of then. A difference of no money is
/// no line. Once its lines are billed too, there is nothing to correct.
///
/// # Errors
/// An amount is out of range.
pub fn corrections(
    period: Period,
    billed: &[Line],
    rated: &[Line],
) -> Result<Vec<Line>, RatingError> {
    let mut before: BTreeMap<Key, Vec<&Line>> = BTreeMap::new();
    for line in billed {
        before.entry(key(line)).or_default().push(line);
    }
    let mut lines = Vec::new();
    for line in rated {
        let billed = before.remove(&key(line)).unwrap_or_default();
        lines.push(difference(period, Some(line), line, &billed)?);
    }
    for billed in before.into_values() {
        if let Some(first) = billed.first() {
            lines.push(difference(period, None, first, &billed)?);
        }
    }
    lines.retain(|line| !line.amount.is_zero());
    Ok(lines)
}

/// What `rated` is more than `billed`; `like` is a line of the same key.
fn difference(
    period: Period,
    rated: Option<&Line>,
    like: &Line,
    billed: &[&Line],
) -> Result<Line, RatingError> {
    let mut amount = rated.map(|line| line.amount).unwrap_or_default();
    let mut usage = match (rated, &like.usage) {
        (Some(rated), _) => rated.usage.clone(),
        (None, Some(detail)) => Some(UsageDetail {
            used: Quantity::default(),
            included: Quantity::default(),
            billed: Quantity::default(),
            over: Vec::new(),
            shares: Vec::new(),
            ..detail.clone()
        }),
        (None, None) => None,
    };
    for line in billed {
        amount = less(amount, line.amount)?;
        if let (Some(usage), Some(billed)) = (&mut usage, &line.usage) {
            subtract(usage, billed)?;
        }
    }
    Ok(Line {
        corrects: Some(period),
        amount,
        usage,
        ..like.clone()
    })
}

fn subtract(usage: &mut UsageDetail, billed: &UsageDetail) -> Result<(), RatingError> {
    usage.used = usage.used.less(billed.used)?;
    usage.included = usage.included.less(billed.included)?;
    usage.billed = usage.billed.less(billed.billed)?;
    let mut shares: BTreeMap<DatabaseId, Share> = usage
        .shares
        .iter()
        .map(|share| (share.database, *share))
        .collect();
    for share in &billed.shares {
        let left = shares.entry(share.database).or_insert(Share {
            database: share.database,
            used: Quantity::default(),
            billed: Quantity::default(),
            amount: Cents::ZERO,
        });
        left.used = left.used.less(share.used)?;
        left.billed = left.billed.less(share.billed)?;
        left.amount = less(left.amount, share.amount)?;
    }
    usage.shares = shares.into_values().collect();
    Ok(())
}

fn less(amount: Cents, other: Cents) -> Result<Cents, RatingError> {
    amount.checked_sub(other).ok_or(RatingError::OutOfRange)
}
