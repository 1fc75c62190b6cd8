//! Mail through a real SMTP server: taken once, kept while it cannot be taken, given up when it
//! never will be.

use crate::support::TestCloud;
use crate::support::smtp::{self, SmtpServer};
use lumadb_control_plane::notify::{Transport, send_due};
use time::Duration;

/// [`smtp::PASSWORD`] as it stands in a URL.
const PASSWORD_IN_URL: &str = "s3cr%3Aet%2F%40";

/// What the outbox says of a mail.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    attempts: i32,
    has_left: bool,
    is_given_up: bool,
    is_kept: bool,
    error: Option<String>,
}

impl TestCloud {
    /// Has one mail waiting for this address.
    async fn cause_mail(&self, address: &str) {
        let signed_up = self.sign_up(address, "correct horse battery").await;
        signed_up.expect(202);
    }

    async fn send_due(&self, transport: &Transport) -> i64 {
        send_due(&self.platform, transport).await.expect("tried")
    }

    async fn outbox(&self) -> Vec<Row> {
        sqlx::query_as(
            "select attempts, sent_at is not null as has_left, failed_at is not null as is_given_up,
                    payload ? 'to' as is_kept, error
             from outbox order by id",
        )
        .fetch_all(&self.admin)
        .await
        .expect("the outbox")
    }

    /// The one row of the outbox, which waits, and why.
    async fn waiting(&self) -> String {
        let mut rows = self.outbox().await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        let row = rows.remove(0);
        assert!(row.is_kept && !row.has_left && !row.is_given_up, "{row:?}");
        row.error.expect("a reason")
    }
}

#[tokio::test]
async fn a_mail_arrives_once_with_its_headers_and_in_both_forms() {
    let cloud = TestCloud::new().await;
    cloud.cause_mail("ada@example.com").await;
    let token = cloud.mailed_token("ada@example.com").await;
    let id: uuid::Uuid = sqlx::query_scalar("select id from outbox")
        .fetch_one(&cloud.admin)
        .await
        .expect("a mail");
    let server = SmtpServer::start();
    let transport = smtp::transport(server.port, PASSWORD_IN_URL);
    assert_eq!(cloud.send_due(&transport).await, 1);
    cloud.clock.advance(Duration::days(1));
    assert_eq!(cloud.send_due(&transport).await, 0);
    let mails = server.stop();
    let [mail] = mails.as_slice() else {
        panic!("{mails:?}");
    };
    assert_eq!(mail["user"], smtp::USER);
    assert_eq!(mail["from"], "cloud@example.com");
    assert_eq!(mail["to"], serde_json::json!(["ada@example.com"]));
    let header = |name: &str| mail["headers"][name].as_str().unwrap_or_default();
    assert_eq!(header("from"), "LumaDB Cloud <cloud@example.com>");
    assert_eq!(header("to"), "ada@example.com");
    assert_eq!(header("subject"), "Verify your e-mail address");
    assert_eq!(header("mime-version"), "1.0");
    assert!(header("content-type").starts_with("multipart/alternative"));
    let id = lumadb_contract::id::OutboxId::from_uuid(id);
    assert_eq!(header("message-id"), format!("<{id}@example.com>"));
    assert!(header("date").starts_with("Mon, 23 Nov 2026 12:00:00"));
    let link = format!("http://127.0.0.1:8400/verify?token={token}");
    for form in ["text", "html"] {
        assert!(mail[form].as_str().is_some_and(|text| text.contains(&link)));
    }
    let rows = cloud.outbox().await;
    assert!(rows[0].has_left && !rows[0].is_kept, "{rows:?}");
}

#[tokio::test]
async fn a_mail_waits_while_the_server_is_away_and_is_delivered_later() {
    let cloud = TestCloud::new().await;
    let server = SmtpServer::start();
    let port = server.port;
    let transport = smtp::transport(port, PASSWORD_IN_URL);
    cloud.cause_mail("bea@example.com").await;
    assert_eq!(cloud.send_due(&transport).await, 1);
    assert_eq!(server.stop().len(), 1);
    // The connection that the transport kept open is dead now.
    cloud.cause_mail("ada@example.com").await;
    for pause in [30, 60, 120] {
        assert_eq!(cloud.send_due(&transport).await, 1);
        assert_eq!(cloud.send_due(&transport).await, 0, "too early");
        cloud.clock.advance(Duration::seconds(pause));
    }
    let rows = cloud.outbox().await;
    let waiting = &rows[1];
    assert!(waiting.is_kept && !waiting.is_given_up, "{rows:?}");
    let error = waiting.error.as_deref().unwrap_or_default();
    assert!(error.contains("Connection"), "{error}");
    let server = SmtpServer::start_at(port);
    assert_eq!(cloud.send_due(&transport).await, 1);
    let mails = server.stop();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["to"][0], "ada@example.com");
    assert!(cloud.outbox().await.iter().all(|row| row.has_left));
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_is_given_up_and_holds_no_other_up() {
    let cloud = TestCloud::new().await;
    for address in ["gone@example.com", "ada@example.com"] {
        cloud.cause_mail(address).await;
    }
    let server = SmtpServer::start();
    let transport = smtp::transport(server.port, PASSWORD_IN_URL);
    assert_eq!(cloud.send_due(&transport).await, 2);
    cloud.clock.advance(Duration::days(1));
    assert_eq!(cloud.send_due(&transport).await, 0);
    let mails = server.stop();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["to"][0], "ada@example.com");
    let rows = cloud.outbox().await;
    let [gone, ada] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert!(gone.is_given_up && !gone.has_left, "{gone:?}");
    assert!(!gone.is_kept, "its secret link is kept");
    assert_eq!(gone.attempts, 1);
    let error = gone.error.as_deref().unwrap_or_default();
    assert!(error.contains("550") && error.contains("no such mailbox"));
    assert!(ada.has_left);
}

#[tokio::test]
async fn a_mail_that_is_put_off_is_tried_again() {
    let cloud = TestCloud::new().await;
    cloud.cause_mail("busy@example.com").await;
    let server = SmtpServer::start();
    let transport = smtp::transport(server.port, PASSWORD_IN_URL);
    assert_eq!(cloud.send_due(&transport).await, 1);
    let error = cloud.waiting().await;
    assert!(error.contains("451") && error.contains("Come again later"));
    assert_eq!(cloud.send_due(&transport).await, 0, "too early");
    cloud.clock.advance(Duration::seconds(30));
    assert_eq!(cloud.send_due(&transport).await, 1);
    assert_eq!(server.stop().len(), 1);
    let rows = cloud.outbox().await;
    assert!(rows[0].has_left && rows[0].attempts == 2, "{rows:?}");
}

#[tokio::test]
async fn a_wrong_password_of_ours_is_told_and_loses_no_mail() {
    let cloud = TestCloud::new().await;
    cloud.cause_mail("ada@example.com").await;
    let server = SmtpServer::start();
    let wrong = smtp::transport(server.port, "wr0ng");
    assert_eq!(cloud.send_due(&wrong).await, 1);
    let error = cloud.waiting().await;
    assert!(error.contains("mail.smtp_url_file"), "{error}");
    assert!(error.contains("535"), "{error}");
    assert!(!error.contains("wr0ng"), "{error}");
    cloud.clock.advance(Duration::seconds(30));
    let right = smtp::transport(server.port, PASSWORD_IN_URL);
    assert_eq!(cloud.send_due(&right).await, 1);
    assert_eq!(server.stop().len(), 1);
}
