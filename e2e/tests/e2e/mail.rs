//! Mail through an SMTP server, as `mail.smtp_url_file` names it.

use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const LIMIT: Duration = Duration::from_secs(30);

/// How the server and the URL that names it speak.
struct Way {
    /// What the server is told.
    server: Option<&'static str>,
    scheme: &'static str,
    query: &'static str,
}

#[tokio::test]
async fn mail_leaves_by_the_server_that_the_settings_name_and_is_shown_nowhere() -> Outcome<()> {
    sign_up_by_mail(&Way {
        server: None,
        scheme: "smtp",
        query: "",
    })
    .await
}

#[tokio::test]
async fn mail_leaves_under_tls_from_the_first_byte() -> Outcome<()> {
    sign_up_by_mail(&Way {
        server: Some("implicit"),
        scheme: "smtps",
        query: "",
    })
    .await
}

#[tokio::test]
async fn mail_leaves_under_tls_that_is_asked_for_before_the_password() -> Outcome<()> {
    sign_up_by_mail(&Way {
        server: Some("starttls"),
        scheme: "smtp",
        query: "?tls=required",
    })
    .await
}

/// Signs somebody up with nothing but what the mail server took.
async fn sign_up_by_mail(way: &Way) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let certificate = folder.path().join("certificate.pem");
    std::fs::write(&certificate, made.cert.pem())?;
    let key = folder.path().join("key.pem");
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    let (_server, mut printed) = start_server(way.server, &certificate, &key)?;
    let port = printed.next_line().await?.ok_or("no port")?;
    let url_file = folder.path().join("smtp");
    let (scheme, query) = (way.scheme, way.query);
    std::fs::write(
        &url_file,
        format!("{scheme}://cloud:a%20secret@localhost:{port}{query}\n"),
    )?;
    let cloud = Cloud::start_with(&[
        ("LUMADB_MAIL_SMTP_URL_FILE", text(&url_file)?),
        ("LUMADB_MAIL_FROM", "LumaDB Cloud <cloud@example.com>"),
        ("SSL_CERT_FILE", text(&certificate)?),
    ])
    .await?;
    let body = json!({"email": "ada@example.com", "password": "correct horse battery",
        "display_name": "Ada"});
    let signed_up = cloud.api().post("/v1/auth/sign-up", &body).await?;
    signed_up.expect(202)?;
    let mail = tokio::time::timeout(LIMIT, printed.next_line()).await??;
    let mail: Value = serde_json::from_str(&mail.ok_or("no mail")?)?;
    assert_eq!(mail["to"], json!(["ada@example.com"]));
    assert_eq!(mail["from"], "cloud@example.com");
    assert_eq!(mail["tls"], way.server.is_some());
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

fn start_server(
    tls: Option<&str>,
    certificate: &Path,
    key: &Path,
) -> Outcome<(Child, Lines<BufReader<ChildStdout>>)> {
    let script = tools::workspace().join("e2e/clients/smtp_server.py");
    let mut command = Command::new(tools::python_tool("python")?);
    command
        .arg(script)
        .args(["127.0.0.1", "0", "cloud", "a secret"]);
    if let Some(tls) = tls {
        command.arg(tls).arg(certificate).arg(key);
    }
    let mut server = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let printed = server.stdout.take().ok_or("no pipe")?;
    Ok((server, BufReader::new(printed).lines()))
}

fn text(path: &Path) -> Outcome<&str> {
    Ok(path.to_str().ok_or("no text")?)
}
