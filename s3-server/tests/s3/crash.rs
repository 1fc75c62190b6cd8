use super::world::{BUCKET, ServerProcess, bytes_of, get};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

const PART_BYTES: usize = 5 * 1024 * 1024;

/// The length of an object follows from its name, as its bytes do.
fn expected(key: &str) -> Vec<u8> {
    let number: usize = key
        .rsplit('/')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    let length = if key.starts_with("parts/") {
        PART_BYTES + number
    } else {
        (number * 7919) % 600_000
    };
    bytes_of(key, length)
}

async fn put(client: &Client, key: &str) -> Option<()> {
    let body = ByteStream::from(expected(key));
    let sent = client.put_object().bucket(BUCKET).key(key).body(body);
    sent.if_none_match("*").send().await.ok().map(drop)
}

async fn upload(client: &Client, key: &str) -> Option<()> {
    let body = expected(key);
    let begun = client.create_multipart_upload().bucket(BUCKET).key(key);
    let id = begun.send().await.ok()?.upload_id?;
    let mut parts = CompletedMultipartUpload::builder();
    for (number, body) in (1..).zip(body.chunks(PART_BYTES)) {
        let sent = client.upload_part().bucket(BUCKET).key(key).upload_id(&id);
        let sent = sent.part_number(number).body(body.to_vec().into());
        let etag = sent.send().await.ok()?.e_tag;
        let part = CompletedPart::builder().part_number(number);
        parts = parts.parts(part.set_e_tag(etag).build());
    }
    let done = client.complete_multipart_upload().bucket(BUCKET).key(key);
    let done = done.upload_id(id).multipart_upload(parts.build());
    done.if_none_match("*").send().await.ok().map(drop)
}

/// Writes until the server is gone; notes what was acknowledged.
async fn write(client: Client, prefix: String, acknowledged: Arc<Mutex<BTreeSet<String>>>) {
    for number in 1.. {
        let key = format!("{prefix}/{number}");
        let written = if prefix.starts_with("parts/") {
            upload(&client, &key).await
        } else {
            put(&client, &key).await
        };
        if written.is_none() {
            return;
        }
        acknowledged.lock().expect("unharmed").insert(key);
    }
}

async fn listed(client: &Client) -> BTreeSet<String> {
    let mut pages = client
        .list_objects_v2()
        .bucket(BUCKET)
        .into_paginator()
        .send();
    let mut keys = BTreeSet::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("listed");
        keys.extend(
            page.contents()
                .iter()
                .filter_map(|one| one.key().map(str::to_owned)),
        );
    }
    keys
}

fn names(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("readable").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_whole_after_a_kill() {
    let folder = TempDir::new().expect("a folder");
    let acknowledged = Arc::<Mutex<BTreeSet<String>>>::default();
    for round in 0..6 {
        let server = ServerProcess::start(folder.path());
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let kind = if writer % 4 == 0 { "parts" } else { "whole" };
            let prefix = format!("{kind}/{round}/{writer}");
            writers.spawn(write(server.client(), prefix, acknowledged.clone()));
        }
        // In the middle of whatever the others are doing then.
        let enough = acknowledged.lock().expect("unharmed").len() + 20 + 7 * round;
        while acknowledged.lock().expect("unharmed").len() < enough {
            sleep(Duration::from_millis(3)).await;
        }
        drop(server);
        while let Some(ended) = writers.join_next().await {
            ended.expect("no panic");
        }
        let server = ServerProcess::start(folder.path());
        let client = server.client();
        let there = listed(&client).await;
        assert_eq!(names(&folder.path().join("tmp")), 0);
        let acknowledged = acknowledged.lock().expect("unharmed").clone();
        let missing: Vec<_> = acknowledged.difference(&there).collect();
        assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
        // Also those of which nobody knows whether they were written.
        let this_round = there
            .iter()
            .filter(|key| key.contains(&format!("/{round}/")));
        for key in this_round {
            assert!(
                get(&client, key).await == expected(key),
                "{key} is not whole"
            );
        }
        // What is in the folder is listed, or was never anything.
        let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await;
        let uploads = uploads.expect("listed").uploads().len();
        let complete = there.iter().filter(|key| key.starts_with("parts/")).count();
        let folders = names(&folder.path().join("buckets/bucket/uploads"));
        assert_eq!(folders, uploads + complete);
    }
}

/// Most memory that a process had at once, KiB.
fn memory_peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB"));
    number
        .and_then(|number| number.trim().parse().ok())
        .expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_do_not_fill_memory() {
    let folder = TempDir::new().expect("a folder");
    let server = ServerProcess::start(folder.path());
    let client = server.client();
    super::world::put(&client, "small", "content").await;
    let before = memory_peak_kib(server.id());
    let body = bytes_of("large", 96 * 1024 * 1024);
    super::world::put(&client, "large", body.clone()).await;
    assert!(get(&client, "large").await == body);
    let grown = memory_peak_kib(server.id()) - before;
    assert!(grown < 24 * 1024, "{grown} KiB for a body of 96 MiB");
}
