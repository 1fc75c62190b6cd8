//! Mail leaves after the commit, is shown at the outbox page, and its secrets are forgotten.

use crate::support::TestCloud;
use lumadb_control_plane::app::Settings;
use lumadb_control_plane::notify::{Transport, run, send_due};
use std::path::PathBuf;
use time::Duration;

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("lumadb-mail-{}-{name}", std::process::id()))
}

#[tokio::test]
async fn a_mail_is_sent_once_shown_with_its_link_and_then_forgotten() {
    let folder = folder("shown");
    let cloud = TestCloud::with(Settings {
        outbox_folder: Some(folder.clone()),
        ..Settings::default()
    })
    .await;
    cloud
        .sign_up("ada@example.com", "correct horse battery")
        .await
        .expect(202);
    let token = cloud.mailed_token("ada@example.com").await;
    let transport = Transport::local(folder.clone(), "LumaDB Cloud <cloud@localhost>");
    let transport = transport.expect("a transport");
    let sent = || send_due(&cloud.platform, &transport);
    assert_eq!(sent().await.expect("sent"), 1);
    assert_eq!(sent().await.expect("sent"), 0);
    let page = cloud.get("/outbox").send().await;
    page.expect(200);
    let link = format!("<a href=\"http://127.0.0.1:8400/verify?token={token}\">");
    assert!(page.raw.contains(&link), "{}", page.raw);
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    let json = cloud.get("/outbox.json").send().await;
    assert_eq!(json.text("/items/0/to"), "ada@example.com");
    assert!(cloud.mails("ada@example.com").await.is_empty());
    let files = std::fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(files, 2);
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn the_outbox_page_is_there_for_the_local_transport_alone() {
    let cloud = TestCloud::new().await;
    cloud.get("/outbox").send().await.expect(404);
    cloud.get("/outbox.json").send().await.expect(404);
}

#[tokio::test]
async fn a_mail_that_does_not_leave_is_tried_again_later_and_once_at_a_time() {
    let cloud = TestCloud::new().await;
    cloud
        .sign_up("ada@example.com", "correct horse battery")
        .await
        .expect(202);
    // A file where the folder should be.
    let blocked = folder("blocked");
    std::fs::write(&blocked, "").expect("written");
    let transport = Transport::local(blocked.clone(), "cloud@localhost").expect("a transport");
    let send = || send_due(&cloud.platform, &transport);
    assert_eq!(send().await.expect("tried"), 1);
    assert_eq!(send().await.expect("nothing due"), 0);
    std::fs::remove_file(&blocked).expect("removed");
    cloud.clock.advance(Duration::minutes(1));
    assert_eq!(send().await.expect("sent"), 1);
    assert!(cloud.mails("ada@example.com").await.is_empty());
    std::fs::remove_dir_all(blocked).expect("removed");
}

#[tokio::test]
async fn a_new_mail_leaves_at_once_while_the_sender_runs() {
    let folder = folder("running");
    let cloud = TestCloud::with(Settings {
        outbox_folder: Some(folder.clone()),
        ..Settings::default()
    })
    .await;
    let transport = Transport::local(folder.clone(), "cloud@localhost").expect("a transport");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let platform = cloud.platform.clone();
    let sender = tokio::spawn(run(platform, transport, async {
        let _ = stopped.await;
    }));
    cloud
        .sign_up("ada@example.com", "correct horse battery")
        .await
        .expect(202);
    let begun = std::time::Instant::now();
    loop {
        let shown = cloud.get("/outbox.json").send().await;
        if shown.body["items"]
            .as_array()
            .is_some_and(|items| items.len() == 1)
        {
            break;
        }
        assert!(begun.elapsed().as_secs() < 10, "no mail");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.send(()).expect("it runs");
    sender.await.expect("it ends");
    std::fs::remove_dir_all(folder).expect("removed");
}
