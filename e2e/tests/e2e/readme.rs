//! What the README tells people to type, typed.

use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::{Outcome, tools};
use serde_json::Value;
use std::time::Duration;
use tokio::process::Command;

/// The README promises five minutes, reading included.
const SCRIPT_LIMIT: Duration = Duration::from_mins(3);

/// The distance between `[1,2]` and `[2,3]`, as pgvector prints it.
const DISTANCE: &str = "1.4142135623730951";

#[tokio::test]
async fn five_minutes_with_curl_work_as_they_are_written() -> Outcome<()> {
    let readme = std::fs::read_to_string(tools::workspace().join("README.md"))?;
    let script = shell_block(&readme, "## Five minutes with curl")?;
    let cloud = Cloud::start().await?;
    let script = with_address(script, cloud.api().base())?;

    let folder = tempfile::tempdir()?;
    let mut bash = Command::new("bash");
    bash.args(["-eu", "-o", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .env("PSQLRC", "/dev/null");
    let said = tokio::time::timeout(SCRIPT_LIMIT, tools::run(&mut bash)).await??;

    let (_, after) = said
        .split_once(DISTANCE)
        .ok_or_else(|| format!("no distance in: {said}"))?;
    let start = after
        .find('{')
        .ok_or_else(|| format!("no totals in: {said}"))?;
    let totals: Value = serde_json::from_str(&after[start..])?;
    assert!(totals.get("requests").is_some(), "{totals}");
    assert!(
        totals.get("compute_milli_vcpu_seconds").is_some(),
        "{totals}"
    );
    Ok(())
}

/// The first `sh` block below a heading.
fn shell_block<'a>(text: &'a str, heading: &str) -> Outcome<&'a str> {
    let (_, section) = text
        .split_once(&format!("\n{heading}\n"))
        .ok_or_else(|| format!("no section `{heading}`"))?;
    let (_, block) = section.split_once("\n```sh\n").ok_or("no `sh` block")?;
    let (block, _) = block.split_once("\n```").ok_or("a block without end")?;
    Ok(block)
}

/// The script with nothing changed but the address in its line `API=`.
fn with_address(script: &str, address: &str) -> Outcome<String> {
    let (line, rest) = script.split_once('\n').ok_or("one line only")?;
    if !line.starts_with("API=http://") {
        return Err(format!("the script does not begin with its address: {line}").into());
    }
    Ok(format!("API={address}\n{rest}"))
}
