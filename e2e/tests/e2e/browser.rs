//! The console as a new user sees it, in headless Chromium.

use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::{Outcome, tools};
use tokio::process::Command;

#[tokio::test]
async fn a_new_user_gets_from_sign_up_to_a_working_connection_string() -> Outcome<()> {
    let cloud = Cloud::start_with(&[("LUMADB_BILLING_CLOCK_MOVES", "true")]).await?;
    let folder = cloud.data_dir();
    let mut command = Command::new("node");
    command
        .arg("first_steps.mjs")
        .current_dir(tools::workspace().join("e2e/browser"))
        .env("CONSOLE_URL", cloud.api().base())
        .env("BROWSER_PROFILE", folder.with_file_name("browser"));
    if let Some(screenshots) = std::env::var_os("LUMADB_TEST_SCREENSHOTS") {
        command.env("SCREENSHOTS", screenshots);
    }
    let printed = tools::run(&mut command).await?;
    let uri = printed
        .lines()
        .find_map(|line| line.strip_prefix("copied: "))
        .ok_or_else(|| format!("the script copied nothing: {printed}"))?;
    assert_eq!(tools::psql(uri, "select 'as it is'").await?, "as it is");
    Ok(())
}
