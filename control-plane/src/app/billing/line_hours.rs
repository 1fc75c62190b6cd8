//! The hours that a line of an invoice is made of.

use super::{gone, reckon};
use crate::app::authorize::authorize;
use crate::app::usage::split_by_hour;
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::invoice;
use crate::store::billing::usage::{self, HourOf, Which};
use lumadb_billing::rating::Line;
use lumadb_contract::id::{DatabaseId, InvoiceId};
use lumadb_contract::meter::Meter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};

const HOUR_US: u128 = 3_600_000_000;

/// Of which database.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LineHoursQuery {
    /// Only its part of the line.
    pub database_id: Option<DatabaseId>,
}

/// Hours of a line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LineHours {
    pub meter: Meter,
    /// What quantities count.
    #[schema(examples("byte-microseconds"))]
    pub counted_in: String,
    /// The sum of the hours. On a line that usage came late for, it has that too: the correction of
    /// a later invoice makes up for it.
    pub used: String,
    /// Hours (UTC) in which something was used, the oldest first.
    pub items: Vec<LineHour>,
}

/// An hour of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineHour {
    #[serde(with = "time::serde::rfc3339")]
    pub start: OffsetDateTime,
    /// A whole number of what the meter counts, as text.
    pub used: String,
}

/// The hours behind a line for usage. An hour that a change of plan cuts is shared by time.
pub async fn line_hours_get(
    platform: &Platform,
    caller: &Caller,
    id: InvoiceId,
    position: u32,
    query: LineHoursQuery,
) -> Result<LineHours, AppError> {
    let member = authorize(platform, caller, id, Action::BillingRead).await?;
    let organization = member.organization;
    let mut tenant = platform.store.tenant(organization).await?;
    let tx = &mut EitherTx::Tenant(&mut tenant);
    let lines = invoice::lines(tx, organization, id).await?;
    let line = lines.get(position as usize);
    let missing = || AppError::not_found("line for usage", position);
    let line = line.ok_or_else(missing)?;
    let meter = line.usage.as_ref().ok_or_else(missing)?.meter;
    let now = super::now(platform, tx).await?;
    let which = Which {
        project: None,
        database: query.database_id,
    };
    // From the hour on that it cuts.
    let from = line.from - Duration::HOUR;
    let mut hours: BTreeMap<OffsetDateTime, u128> = BTreeMap::new();
    if meter == Meter::Compute {
        let spans = usage::spans(tx, organization, which, line.from, line.to).await?;
        for span in spans {
            let parts = split_by_hour(span.started_at.max(line.from), span.ended_at.min(line.to));
            for (hour, us) in parts {
                *hours.entry(hour).or_default() += u128::from(span.milli_vcpu) * us;
            }
        }
    } else {
        let terms = reckon::terms(tx, organization).await?;
        let first = terms.first().ok_or_else(gone)?.from;
        let known = reckon::hours(tx, organization, which, (from, line.to), now).await?;
        for of in &known {
            let used = part(line, first, of, quantity(meter, of));
            if used > 0 {
                *hours.entry(of.hour.starts_at).or_default() += used;
            }
        }
    }
    tenant.commit().await?;
    Ok(LineHours {
        meter,
        counted_in: meter.counted_in().to_owned(),
        used: hours.values().sum::<u128>().to_string(),
        items: hours
            .into_iter()
            .map(|(start, used)| LineHour {
                start,
                used: used.to_string(),
            })
            .collect(),
    })
}

fn quantity(meter: Meter, of: &HourOf) -> u128 {
    match meter {
        Meter::Storage => of.hour.storage_byte_us,
        Meter::Compute => 0,
        Meter::Requests => of.hour.requests.into(),
        Meter::TransferOut => of.hour.transfer_out_bytes.into(),
        Meter::VectorOperations => of.hour.vector_operations.into(),
    }
}

/// What of an hour's quantity falls into the line: by time, rounded down at each cut, so that the
/// parts of all lines add up. Before its first plan an organization used nothing: the hour in which
/// that began is the line's from there on.
fn part(line: &Line, first: OffsetDateTime, of: &HourOf, quantity: u128) -> u128 {
    let starts_at = of
        .hour
        .starts_at
        .max(first.replace_nanosecond(0).unwrap_or(first));
    let ends_at = of.hour.starts_at + Duration::HOUR;
    let us = |from: OffsetDateTime, to: OffsetDateTime| {
        u128::try_from((to - from).whole_microseconds()).unwrap_or(0)
    };
    let whole = us(starts_at, ends_at).clamp(1, HOUR_US);
    let until = |at: OffsetDateTime| quantity * us(starts_at, at.clamp(starts_at, ends_at)) / whole;
    until(line.to) - until(line.from.min(line.to))
}
