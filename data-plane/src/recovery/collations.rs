//! Whether text is sorted here as it was where the backup was made.
//!
//! PostgreSQL writes down, with each database and each collation, the version of what it sorts by. An
//! index that was sorted by another version is corrupt without anybody being told, so what is in use
//! is compared before a restored folder is called a database.

use crate::engine::{AdminError, AdminSession};
use std::path::Path;

const DATABASES: &str = "select datname from pg_database where datallowconn order by 1";

/// Of the database itself, and of each collation that an index or a partitioned table sorts by.
const CHANGED: &str = "\
    select 'the database ' || quote_ident(datname), datlocprovider::text, datcollversion,
            pg_database_collation_actual_version(oid)
        from pg_database where datname = current_database()
            and datcollversion <> pg_database_collation_actual_version(oid)
    union all
    select 'the collation ' || oid::regcollation::text || ' in ' || quote_ident(current_database()),
            collprovider::text, collversion, pg_collation_actual_version(oid)
        from pg_collation where collversion <> pg_collation_actual_version(oid)
            and (exists (select from pg_index where pg_collation.oid = any (indcollation))
                or exists (select from pg_partitioned_table
                    where pg_collation.oid = any (partcollation)))";

/// What changed, in words, of every database behind `socket`.
pub(super) async fn changed(
    socket: &Path,
    session: &AdminSession,
) -> Result<Vec<String>, AdminError> {
    let doing = "asking how text is sorted";
    let mut changed = Vec::new();
    for row in session.rows(doing, DATABASES).await? {
        let name = row.get(0).unwrap_or_default();
        let session = AdminSession::open_in(socket, name).await?;
        for row in session.rows(doing, CHANGED).await? {
            let column = |column| row.get(column).unwrap_or_default();
            changed.push(in_words(column(0), column(1), column(2), column(3)));
        }
    }
    Ok(changed)
}

fn in_words(what: &str, provider: &str, made: &str, here: &str) -> String {
    let provider = match provider {
        "b" => "PostgreSQL's own",
        "c" => "the C library's",
        "i" => "ICU's",
        other => other,
    };
    format!("{what} was sorted by {provider} version {made}, which is {here} here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_with_both_versions() {
        assert_eq!(
            in_words("the database shop", "c", "2.36", "2.41"),
            "the database shop was sorted by the C library's version 2.36, which is 2.41 here"
        );
    }
}
