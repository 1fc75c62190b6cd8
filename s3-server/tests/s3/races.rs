use super::world::{BUCKET, Server, get, put};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use std::sync::Arc;
use tokio::sync::Barrier;

const WRITERS: usize = 16;
const ROUNDS: usize = 12;

/// Lets all writers do the same at once; gives what those who succeeded wrote.
async fn race<F, W>(client: &Client, write: F) -> Vec<String>
where
    F: Fn(Client, usize) -> W,
    W: Future<Output = Option<String>> + Send + 'static,
{
    let start = Arc::new(Barrier::new(WRITERS));
    let writers = (0..WRITERS).map(|writer| {
        let (start, writing) = (start.clone(), write(client.clone(), writer));
        tokio::spawn(async move {
            start.wait().await;
            writing.await
        })
    });
    let mut won = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        won.extend(writer.await.expect("no panic"));
    }
    won
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_creates_an_object() {
    let server = Server::start().await;
    let client = server.client();
    for round in 0..ROUNDS {
        let key = format!("round/{round}");
        let won = race(&client, |client, writer| {
            let (key, text) = (key.clone(), format!("writer {writer}"));
            async move {
                let body = ByteStream::from(text.clone().into_bytes());
                let sent = client.put_object().bucket(BUCKET).key(key).body(body);
                sent.if_none_match("*").send().await.ok().map(|_| text)
            }
        });
        let won = won.await;
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        assert_eq!(get(&client, &key).await, won[0].as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_replaces_an_object_that_all_have_seen() {
    let server = Server::start().await;
    let client = server.client();
    put(&client, "key", "at first").await;
    for round in 0..ROUNDS {
        let head = client.head_object().bucket(BUCKET).key("key").send();
        let etag = head.await.expect("there").e_tag.expect("one");
        let won = race(&client, |client, writer| {
            let (etag, text) = (etag.clone(), format!("writer {writer} of {round}"));
            async move {
                let body = ByteStream::from(text.clone().into_bytes());
                let sent = client.put_object().bucket(BUCKET).key("key").body(body);
                sent.if_match(etag).send().await.ok().map(|_| text)
            }
        });
        let won = won.await;
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        assert_eq!(get(&client, "key").await, won[0].as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_uploads_becomes_the_object() {
    let server = Server::start().await;
    let client = server.client();
    for round in 0..ROUNDS / 4 {
        let key = format!("round/{round}");
        let won = race(&client, |client, writer| {
            let (key, text) = (key.clone(), format!("writer {writer}"));
            async move {
                // Half of them upload, half write at once.
                if writer % 2 == 0 {
                    let body = ByteStream::from(text.clone().into_bytes());
                    let sent = client.put_object().bucket(BUCKET).key(key).body(body);
                    return sent.if_none_match("*").send().await.ok().map(|_| text);
                }
                let begun = client.create_multipart_upload().bucket(BUCKET).key(&key);
                let id = begun.send().await.expect("begun").upload_id.expect("one");
                let sent = client.upload_part().bucket(BUCKET).key(&key).upload_id(&id);
                let sent = sent.part_number(1).body(text.clone().into_bytes().into());
                let part = CompletedPart::builder().part_number(1);
                let part = part.set_e_tag(sent.send().await.expect("a part").e_tag);
                let parts = CompletedMultipartUpload::builder().parts(part.build());
                let done = client.complete_multipart_upload().bucket(BUCKET).key(&key);
                let done = done.upload_id(id).multipart_upload(parts.build());
                done.if_none_match("*").send().await.ok().map(|_| text)
            }
        });
        let won = won.await;
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        assert_eq!(get(&client, &key).await, won[0].as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_while_others_write_reads_one_whole_object() {
    let server = Server::start().await;
    let client = server.client();
    let body = |writer: u8| vec![writer; 1_000_000];
    put(&client, "key", body(0)).await;
    let writing = client.clone();
    let writer = tokio::spawn(async move {
        for writer in 1..30 {
            put(&writing, "key", body(writer)).await;
        }
    });
    while !writer.is_finished() {
        let read = get(&client, "key").await;
        assert_eq!(read, body(read[0]));
    }
    writer.await.expect("no panic");
}
