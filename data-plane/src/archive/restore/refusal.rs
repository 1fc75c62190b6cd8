//! Why something cannot be restored as asked, in words for whoever asked.

use crate::archive::layout::Timeline;
use lumadb_contract::archive::Lsn;
use time::OffsetDateTime;
use time::macros::format_description;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("There is no complete backup to restore from.")]
    NoBackup,
    #[error("Every backup that this could be restored from is damaged.")]
    Damaged,
    #[error("A backup is not as it was made: {0}")]
    Unsound(String),
    #[error("The oldest backup is of {}: nothing before that can be restored.", moment(.first))]
    BeforeFirst { first: OffsetDateTime },
    #[error("The oldest backup ends at WAL position {first}: nothing before that can be restored.")]
    BeforeFirstPosition { first: Lsn },
    #[error("The archive reaches up to WAL position {until}, and this lies behind it or in a gap.")]
    PositionMissing { until: Lsn },
    #[error("WAL from position {from} on is missing, so nothing behind it can be restored.")]
    Hole { from: Lsn },
    #[error("WAL that leads to what was asked for is damaged: {0}.")]
    WalDamaged(String),
    #[error("The archive holds no history of timeline {timeline}.")]
    NoHistory { timeline: Timeline },
    #[error("Transaction {0} did not end in the part of the archive that can be restored.")]
    TransactionMissing(u32),
    #[error(
        "There is no restore point named `{0}` in the part of the archive that can be restored."
    )]
    NameMissing(String),
    #[error(
        "The backup was made by PostgreSQL {made}, and this is PostgreSQL {here}: a data folder moves only between releases of one major version."
    )]
    OtherVersion { made: String, here: String },
    #[error(
        "The backup was made on {made}, and this is {here}: a data folder cannot be moved between them."
    )]
    OtherArchitecture { made: String, here: String },
    #[error(
        "The backup has pages of {made} bytes, and this PostgreSQL has pages of {here}: it cannot read them."
    )]
    OtherPages { made: u32, here: u32 },
    #[error(
        "Text is sorted otherwise here than where the backup was made, so indexes would be corrupt: {0}."
    )]
    OtherCollations(String),
}

/// To the second, in UTC.
fn moment(at: &OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let at = at.to_offset(time::UtcOffset::UTC);
    at.format(&form).unwrap_or_else(|_| at.to_string())
}
