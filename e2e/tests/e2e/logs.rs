//! Logs are bounded, whoever makes them grow.

use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Process;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use std::path::Path;
use std::time::Duration;

/// The bound of every log, bytes.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Time to fill a log twice.
const FILL_LIMIT: Duration = Duration::from_mins(2);

/// Any role may write what it likes into its engine's log.
const CHATTER: &str = "do $$ begin for i in 1..5000 loop \
    raise log '%', repeat('x', 1000); end loop; end $$";

#[tokio::test]
async fn a_tenant_that_logs_without_end_fills_no_disk() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("chatty").await?;
    let folder = cloud.data_dir().join("log");
    let log = folder.join(format!("engine.{}.log", database.id));
    let first_line = |log: &Path| -> Outcome<String> {
        let text = std::fs::read(log)?;
        let line = text.split(|byte| *byte == b'\n').next();
        Ok(String::from_utf8_lossy(line.unwrap_or_default()).into_owned())
    };
    let cut = async || -> Outcome<()> {
        let before = first_line(&log)?;
        until("the log to be cut", FILL_LIMIT, || async {
            tools::psql(&database.uri, CHATTER).await?;
            let bytes = std::fs::metadata(&log)?.len();
            assert!(bytes <= LOG_BYTES_MAX, "{bytes}");
            Ok((first_line(&log)? != before).then_some(()))
        })
        .await
    };
    cut().await?;

    // Neither those who started the engine nor the one who reads what it prints need to live.
    cloud.kill_up().await?;
    let instance = cloud.instance_dir(&database.id);
    let helper = |process: &Process| {
        process.is_engine_helper() && process.instance_dir().as_deref() == Some(&*instance)
    };
    assert_eq!(cloud.kill(helper).await?, 1);
    tools::psql(&database.uri, CHATTER).await?;
    cut().await?;

    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        let bytes = entry.metadata()?.len();
        assert!(bytes <= LOG_BYTES_MAX, "{:?}: {bytes}", entry.file_name());
    }
    Ok(())
}
