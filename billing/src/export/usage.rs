//! Usage as it was counted: a row for each database, meter and hour, day or month.

use super::csv::Csv;
use super::{decimal, unit};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::meter::Meter;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The columns, in their order.
pub const USAGE_COLUMNS: [&str; 8] = [
    "starts_at",
    "ends_at",
    "database_id",
    "database_name",
    "meter",
    "quantity",
    "unit",
    "counted",
];

/// What one database used of a meter in some time.
#[derive(Debug, Clone, Copy)]
pub struct UsageRow<'a> {
    pub starts_at: OffsetDateTime,
    /// Not included.
    pub ends_at: OffsetDateTime,
    pub database: DatabaseId,
    pub database_name: &'a str,
    pub meter: Meter,
    /// In counted units ([`Meter::counted_in`]).
    pub counted: u128,
    /// Of the month that it lies in.
    pub month_seconds: u32,
}

pub fn usage_header(csv: &mut Csv) {
    for column in USAGE_COLUMNS {
        csv.value(column);
    }
    csv.end_row();
}

pub fn usage_row(csv: &mut Csv, row: &UsageRow<'_>) {
    let sold = row.meter.counted_per_sold(row.month_seconds);
    let count = i128::try_from(row.counted).unwrap_or(i128::MAX);
    let moment = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    csv.value(moment(row.starts_at))
        .value(moment(row.ends_at))
        .value(row.database)
        .text(row.database_name)
        .value(row.meter)
        .option(decimal(count, sold))
        .value(unit(row.meter))
        .value(row.counted)
        .end_row();
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use uuid::Uuid;

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let mut csv = Csv::new();
        usage_header(&mut csv);
        let row = UsageRow {
            starts_at: datetime!(2026-11-01 0:00 UTC),
            ends_at: datetime!(2026-11-02 0:00 UTC),
            database: DatabaseId::from_uuid(Uuid::nil()),
            database_name: "=shop",
            meter: Meter::TransferOut,
            counted: 1_500_000_000,
            month_seconds: 2_592_000,
        };
        usage_row(&mut csv, &row);
        let text = csv.finish();
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines[0], USAGE_COLUMNS.join(","));
        assert_eq!(
            lines[1],
            "2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,db_00000000000000000000000000,'=shop,\
             transfer_out,1.5,GB,1500000000"
        );
    }
}
