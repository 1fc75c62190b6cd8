use super::world::{BUCKET, Server, is, put, refusal};
use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;
use std::collections::BTreeSet;

/// Keys and folders of all pages, in the order of the pages.
async fn pages(client: &Client, prefix: &str, delimiter: Option<&str>, size: i32) -> Vec<String> {
    let mut all = Vec::new();
    let mut token = None;
    loop {
        let sent = client
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix(prefix)
            .set_delimiter(delimiter.map(str::to_owned))
            .max_keys(size)
            .set_continuation_token(token);
        let page = sent.send().await.expect("listed");
        let keys = page.contents().iter().filter_map(|one| one.key());
        let folders = page.common_prefixes().iter().filter_map(|one| one.prefix());
        let mut shown: Vec<String> = keys.chain(folders).map(str::to_owned).collect();
        assert_eq!(page.key_count(), i32::try_from(shown.len()).ok());
        shown.sort();
        all.extend(shown);
        token = page.next_continuation_token().map(str::to_owned);
        assert_eq!(token.is_some(), page.is_truncated().unwrap_or_default());
        if token.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn pages_together_are_what_is_there() {
    let server = Server::start().await;
    let client = server.client();
    let mut keys: BTreeSet<String> = (0..40)
        .map(|n| format!("wal/{:02}/{n:03}", n % 7))
        .collect();
    keys.extend([
        "wal".to_owned(),
        "wal/".to_owned(),
        "walnut".to_owned(),
        "ü/é".to_owned(),
    ]);
    for key in &keys {
        put(&client, key, "").await;
    }
    let server = server.restart().await;
    let client = server.client();
    let all: Vec<String> = keys.iter().cloned().collect();
    for size in [1, 7, 1000] {
        assert_eq!(pages(&client, "", None, size).await, all);
        let folders = pages(&client, "", Some("/"), size).await;
        assert_eq!(folders, ["wal", "wal/", "walnut", "ü/"]);
        let timelines = pages(&client, "wal/", Some("/"), size).await;
        let expected: Vec<String> = std::iter::once("wal/".to_owned())
            .chain((0..7).map(|n| format!("wal/{n:02}/")))
            .collect();
        assert_eq!(timelines, expected);
    }
    let after = client
        .list_objects_v2()
        .bucket(BUCKET)
        .start_after("wal/06/034");
    let after = after.send().await.expect("listed");
    let left: Vec<_> = after
        .contents()
        .iter()
        .filter_map(|one| one.key())
        .collect();
    assert_eq!(left, ["walnut", "ü/é"]);
    let none = client.list_objects_v2().bucket(BUCKET).max_keys(0);
    let none = none.send().await.expect("listed");
    assert_eq!(
        (none.key_count(), none.is_truncated()),
        (Some(0), Some(false))
    );
    let odd = client
        .list_objects_v2()
        .bucket(BUCKET)
        .continuation_token("/");
    assert!(is(&refusal(odd.send().await), 400, "InvalidArgument"));
}

#[tokio::test]
async fn keys_are_encoded_when_asked_for() {
    let server = Server::start().await;
    let client = server.client();
    let key = "a b/+%<é\u{1}\n";
    put(&client, key, "").await;
    let list = client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("a b")
        .encoding_type(EncodingType::Url);
    let page = list.clone().send().await.expect("listed");
    assert_eq!(
        page.contents()[0].key(),
        Some("a%20b/%2B%25%3C%C3%A9%01%0A")
    );
    assert_eq!(page.prefix(), Some("a%20b"));
    let page = list.delimiter("/").send().await.expect("listed");
    assert_eq!(page.common_prefixes()[0].prefix(), Some("a%20b/"));
    let plain = client.list_objects_v2().bucket(BUCKET).delimiter("/");
    let page = plain.send().await.expect("listed");
    assert_eq!(page.common_prefixes()[0].prefix(), Some("a b/"));
}
