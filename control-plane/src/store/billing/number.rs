//! Numbers of documents, without a gap.

use crate::store::{EitherTx, StoreError};
use lumadb_billing::invoice::{Number, Series};

const fn name(series: Series) -> &'static str {
    match series {
        Series::Invoice => "invoice",
        Series::CreditNote => "credit_note",
    }
}

/// The last number that was given. Whoever numbers waits for the end of this transaction: take it
/// last.
pub async fn last(tx: &mut EitherTx<'_>, series: Series) -> Result<Option<Number>, StoreError> {
    let last = sqlx::query_scalar!(
        "select last from document_numbers where series = $1 for update",
        name(series)
    )
    .fetch_one(tx.connection())
    .await?;
    last.map(|text| {
        text.parse()
            .map_err(|_| StoreError::Corrupt(format!("`{text}` is not a document's number")))
    })
    .transpose()
}

/// Notes that this number is given. The transaction has asked for the one before.
pub async fn give(tx: &mut EitherTx<'_>, number: Number) -> Result<(), StoreError> {
    sqlx::query!(
        "update document_numbers set last = $2 where series = $1",
        name(number.series),
        number.to_string()
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
