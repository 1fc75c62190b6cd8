//! What an engine is: what of it a restored data folder depends on.

use crate::engine::{AdminError, AdminSession};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// Such as `18.6`.
    pub version: String,
    /// Such as `180006`.
    pub version_number: u32,
    /// What `version()` answers: names processor and compiler.
    pub build: String,
    pub block_bytes: u32,
    /// Text indexes are sorted as these say; of another version they would be corrupt.
    pub collations: Vec<CollationFact>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollationFact {
    /// As `pg_database.datlocprovider` writes it: `b` built in, `i` ICU, `c` the C library.
    pub provider: String,
    pub version: String,
}

/// Every provider has collations of which the version is told, but the C library where it knows
/// none but `C`.
const COLLATIONS: &str = "\
    select provider, max(version) from (
        select datlocprovider::text as provider, pg_database_collation_actual_version(oid) as version
            from pg_database
        union all
        select collprovider::text, pg_collation_actual_version(oid) from pg_collation
            where collname in ('unicode', 'pg_c_utf8', 'en_US.utf8') or oid >= 16384
    ) as found where version is not null group by provider order by provider";

const ENGINE: &str = "\
    select current_setting('server_version'), current_setting('server_version_num'), version(),
        current_setting('block_size')";

/// The clock is read last: nothing that is seen committed committed later.
const MOMENT: &str = "\
    select pg_snapshot_xmax(pg_current_snapshot()),
        (extract(epoch from clock_timestamp()) * 1000000)::int8";

impl EngineFacts {
    pub(super) async fn ask(session: &AdminSession) -> Result<Self, AdminError> {
        let doing = "asking what the engine is";
        let rows = session.rows(doing, ENGINE).await?;
        let text = |column| rows.first().and_then(|row| row.get(column));
        let number = |column| {
            let text = text(column).unwrap_or_default();
            let number = text.parse::<u32>();
            number.map_err(|_| AdminError::Unexpected(text.to_owned()))
        };
        let version = text(0).unwrap_or_default();
        let collations = session.rows(doing, COLLATIONS).await?;
        let fact = |row: &tokio_postgres::SimpleQueryRow| CollationFact {
            provider: row.get(0).unwrap_or_default().to_owned(),
            version: row.get(1).unwrap_or_default().to_owned(),
        };
        Ok(Self {
            version: version.split(' ').next().unwrap_or_default().to_owned(),
            version_number: number(1)?,
            build: text(2).unwrap_or_default().to_owned(),
            block_bytes: number(3)?,
            collations: collations.iter().map(fact).collect(),
        })
    }
}

/// A moment of the engine's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) transaction_next: u64,
    pub(super) at: OffsetDateTime,
}

impl Moment {
    pub(super) async fn ask(session: &AdminSession) -> Result<Self, AdminError> {
        let rows = session.rows("asking for the engine's time", MOMENT).await?;
        let text = |column| rows.first().and_then(|row| row.get(column));
        let unexpected = || AdminError::Unexpected(text(1).unwrap_or_default().to_owned());
        let micros: i128 = text(1)
            .and_then(|text| text.parse().ok())
            .ok_or_else(unexpected)?;
        let at = OffsetDateTime::from_unix_timestamp_nanos(micros * 1000);
        Ok(Self {
            transaction_next: text(0)
                .and_then(|text| text.parse().ok())
                .ok_or_else(unexpected)?,
            at: at.map_err(|_| unexpected())?,
        })
    }
}
