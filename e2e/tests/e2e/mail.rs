//! Mail through an SMTP server, as `mail.smtp_url_file` names it.

use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn mail_leaves_by_the_server_that_the_settings_name_and_is_shown_nowhere() -> Outcome<()> {
    let script = tools::workspace().join("e2e/clients/smtp_server.py");
    let mut server = Command::new(tools::python_tool("python")?)
        .arg(script)
        .args(["127.0.0.1", "0", "cloud", "a secret"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let printed = server.stdout.take().ok_or("no pipe")?;
    let mut printed = BufReader::new(printed).lines();
    let port = printed.next_line().await?.ok_or("no port")?;
    let folder = tempfile::tempdir()?;
    let url_file = folder.path().join("smtp");
    std::fs::write(
        &url_file,
        format!("smtp://cloud:a%20secret@127.0.0.1:{port}\n"),
    )?;
    let path = url_file.to_str().ok_or("no text")?;
    let cloud = Cloud::start_with(&[
        ("LUMADB_MAIL_SMTP_URL_FILE", path),
        ("LUMADB_MAIL_FROM", "LumaDB Cloud <cloud@example.com>"),
    ])
    .await?;
    let body = json!({"email": "ada@example.com", "password": "correct horse battery",
        "display_name": "Ada"});
    let signed_up = cloud.api().post("/v1/auth/sign-up", &body).await?;
    signed_up.expect(202)?;
    let mail = tokio::time::timeout(LIMIT, printed.next_line()).await??;
    let mail: serde_json::Value = serde_json::from_str(&mail.ok_or("no mail")?)?;
    assert_eq!(mail["to"], json!(["ada@example.com"]));
    assert_eq!(mail["from"], "cloud@example.com");
    let text = mail["text"].as_str().unwrap_or_default();
    let (_, token) = text.split_once("/verify?token=").ok_or("no link")?;
    let token = token.lines().next().unwrap_or_default();
    let verified = cloud
        .api()
        .post("/v1/auth/verify-email", &json!({"token": token}))
        .await?;
    verified.expect(200)?;
    cloud.api().get("/outbox.json").await?.expect(404)?;
    assert!(!cloud.lines().iter().any(|line| line.contains("secret")));
    Ok(())
}
