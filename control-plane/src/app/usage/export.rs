//! A month of every database's usage as a table.

use super::report::{Granularity, Sums, end_of, start_of, sum};
use crate::app::authorize::authorize;
use crate::app::billing::{self, Table};
use crate::app::{Action, AppError, Caller, Platform};
use crate::store::EitherTx;
use crate::store::billing::document;
use crate::store::usage;
use lumadb_billing::export::{Csv, UsageRow, usage_header, usage_row};
use lumadb_billing::period::Period;
use lumadb_contract::id::OrganizationId;
use lumadb_contract::meter::Meter;
use serde::Deserialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::IntoParams;

/// Which month, and how fine.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageExportQuery {
    /// A month (UTC) of the form `2026-11`; the running one if left out.
    #[param(value_type = Option<String>, example = "2026-11")]
    pub period: Option<Period>,
    /// A row an hour, a day or the month (UTC).
    #[serde(default)]
    pub granularity: Granularity,
}

/// What each database used of each meter, as CSV; without rows of nothing.
pub async fn usage_export(
    platform: &Platform,
    caller: &Caller,
    organization: OrganizationId,
    query: &UsageExportQuery,
) -> Result<Table, AppError> {
    let member = authorize(platform, caller, organization, Action::UsageRead).await?;
    let mut csv = Csv::new();
    usage_header(&mut csv);
    let mut tx = platform.store.tenant(member.organization).await?;
    let now = billing::now(platform, &mut EitherTx::Tenant(&mut tx)).await?;
    let period = match query.period {
        Some(period) => period,
        None => Period::of(now)?,
    };
    let (from, to) = (period.start(), period.end());
    for database in document::resources(&mut tx).await? {
        let hours = usage::hours(&mut tx, database.id, from, to).await?;
        let spans = usage::spans(&mut tx, database.id, from, to).await?;
        let front = usage::tenant_front(&mut tx, database.id).await?;
        let mut items: BTreeMap<OffsetDateTime, Sums> = BTreeMap::new();
        for (hour, sums) in sum(&hours, &spans, front, from, to, now) {
            let start = start_of(query.granularity, hour);
            items.entry(start).or_default().add(&sums);
        }
        for (starts_at, sums) in items {
            for meter in Meter::ALL {
                let row = UsageRow {
                    starts_at,
                    ends_at: end_of(query.granularity, starts_at),
                    database: database.id,
                    database_name: &database.name,
                    meter,
                    counted: sums.counted(meter),
                    month_seconds: period.seconds(),
                };
                if row.counted > 0 {
                    usage_row(&mut csv, &row);
                }
            }
        }
    }
    tx.commit().await?;
    Ok(Table {
        name: format!("usage-{period}.csv"),
        csv: csv.finish(),
    })
}
