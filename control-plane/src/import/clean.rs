//! Emptying a target of what was copied into it.

use super::Failure;
use super::check::Session;
use super::relay::APPLICATION_NAME;
use std::path::Path;
use std::time::Duration;

/// Longest time for one session of an earlier worker's to end, milliseconds.
const END_WAIT_MS: u32 = 10_000;

/// Longest time for all of it.
const CLEAN_TIMEOUT: Duration = Duration::from_mins(10);

/// Ends what an earlier worker left running, and drops everything that the role owns here: before
/// the import there was nothing. Repeatable.
pub(super) async fn empty(folder: &Path) -> Result<(), Failure> {
    match tokio::time::timeout(CLEAN_TIMEOUT, drop_owned(folder)).await {
        Ok(done) => done,
        Err(_) => Err(Failure::new("It took too long.")),
    }
}

async fn drop_owned(folder: &Path) -> Result<(), Failure> {
    let target = Session::target(folder).await?;
    target.rows(&end_others()).await?;
    target.rows("drop owned by current_user").await?;
    Ok(())
}

/// Ends every other session of an import in this logical database.
pub(super) fn end_others() -> String {
    format!(
        "select pg_catalog.pg_terminate_backend(pid, {END_WAIT_MS}) from pg_catalog.pg_stat_activity
         where datname = pg_catalog.current_database() and usename = current_user
           and application_name = '{APPLICATION_NAME}' and pid <> pg_catalog.pg_backend_pid()"
    )
}
