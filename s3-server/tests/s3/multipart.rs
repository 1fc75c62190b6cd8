use super::world::{BUCKET, Server, bytes_of, checking_client, get, is, put, refusal};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use std::slice::from_ref;

const PART_BYTES: usize = 5 * 1024 * 1024;

async fn begin(client: &Client, key: &str) -> String {
    let sent = client.create_multipart_upload().bucket(BUCKET).key(key);
    let begun = sent.content_type("text/plain").send().await;
    begun.expect("begun").upload_id().expect("an ID").to_owned()
}

async fn part(client: &Client, key: &str, id: &str, number: i32, body: &[u8]) -> CompletedPart {
    let sent = client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(number)
        .body(ByteStream::from(body.to_vec()));
    let sent = sent.send().await.expect("a part");
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(sent.e_tag)
        .set_checksum_crc32(sent.checksum_crc32)
        .build()
}

fn complete(
    client: &Client,
    key: &str,
    id: &str,
    parts: &[CompletedPart],
) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder
{
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec()));
    client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .multipart_upload(parts.build())
}

#[tokio::test]
async fn parts_become_an_object_also_after_a_restart() {
    let server = Server::start().await;
    let client = server.client();
    let body = bytes_of("body", 2 * PART_BYTES + 12_345);
    let id = begin(&client, "key").await;
    let mut parts = Vec::new();
    // In any order, and one of them twice.
    for number in [3, 1, 1] {
        let from = (usize::try_from(number).expect("small") - 1) * PART_BYTES;
        let to = (from + PART_BYTES).min(body.len());
        let done = part(&client, "key", &id, number, &body[from..to]).await;
        parts.retain(|part: &CompletedPart| part.part_number() != Some(number));
        parts.push(done);
    }
    let server = server.restart().await;
    let client = server.client();
    let unused = part(&client, "key", &id, 9, b"not used").await;
    parts.push(part(&client, "key", &id, 2, &body[PART_BYTES..2 * PART_BYTES]).await);
    assert_eq!(unused.part_number(), Some(9));
    parts.sort_by_key(CompletedPart::part_number);
    let none = client.head_object().bucket(BUCKET).key("key").send().await;
    assert_eq!(refusal(none).0, 404);
    let done = complete(&client, "key", &id, &parts).if_none_match("*");
    let done = done.send().await.expect("complete");
    assert!(done.e_tag().expect("one").ends_with("-3\""));
    let again = complete(&client, "key", &id, &parts).send().await;
    assert!(is(&refusal(again), 404, "NoSuchUpload"));
    for server in [server.restart().await] {
        let client = server.client();
        assert!(get(&client, "key").await == body);
        let (from, to) = (PART_BYTES - 10, 2 * PART_BYTES + 10);
        let range = client.get_object().bucket(BUCKET).key("key");
        let range = range.range(format!("bytes={from}-{to}")).send().await;
        let range = range.expect("there");
        assert_eq!(range.content_type(), Some("text/plain"));
        let range = range.body.collect().await.expect("whole").to_vec();
        assert!(range == body[from..=to]);
        let copy = client.copy_object().bucket(BUCKET).key("copy");
        copy.copy_source("bucket/key").send().await.expect("copied");
        put(&client, "key", "replaced").await;
        assert!(get(&client, "copy").await == body);
    }
}

#[tokio::test]
async fn what_is_wrong_with_parts_is_told() {
    let server = Server::start().await;
    let client = server.client();
    let id = begin(&client, "key").await;
    let one = part(&client, "key", &id, 1, b"small").await;
    let two = part(&client, "key", &id, 2, b"last").await;
    let ask = |parts: &[CompletedPart]| complete(&client, "key", &id, parts).send();
    let small = ask(&[one.clone(), two.clone()]).await;
    assert!(is(&refusal(small), 400, "EntityTooSmall"));
    let order = ask(&[two.clone(), one.clone()]).await;
    assert!(is(&refusal(order), 400, "InvalidPartOrder"));
    let other = CompletedPart::builder().part_number(1).e_tag("\"other\"");
    assert!(is(
        &refusal(ask(&[other.build()]).await),
        400,
        "InvalidPart"
    ));
    let missing = CompletedPart::builder().part_number(7).build();
    assert!(is(&refusal(ask(&[missing]).await), 400, "InvalidPart"));
    assert_eq!(refusal(ask(&[]).await).0, 400);
    let size = complete(&client, "key", &id, from_ref(&two)).mpu_object_size(5);
    assert!(is(&refusal(size.send().await), 400, "BadDigest"));
    for number in [0, 10_001] {
        let sent = client
            .upload_part()
            .bucket(BUCKET)
            .key("key")
            .upload_id(&id);
        let sent = sent.part_number(number).send().await;
        assert!(is(&refusal(sent), 400, "InvalidArgument"));
    }
    put(&client, "key", "other").await;
    let taken = complete(&client, "key", &id, from_ref(&two)).if_none_match("*");
    assert!(is(&refusal(taken.send().await), 412, "PreconditionFailed"));
    ask(&[two]).await.expect("complete");
    assert_eq!(get(&client, "key").await, b"last");
    let none = client
        .upload_part()
        .bucket(BUCKET)
        .key("key")
        .upload_id("../x");
    let none = none.part_number(1).send().await;
    assert!(is(&refusal(none), 404, "NoSuchUpload"));
}

#[tokio::test]
async fn uploads_and_parts_are_listed_and_aborted() {
    let server = Server::start().await;
    let client = server.client();
    let mut ids = Vec::new();
    for key in ["a/1", "a/2", "a/2", "b"] {
        ids.push((key, begin(&client, key).await));
    }
    ids.sort();
    for number in 1..=3 {
        part(&client, "a/1", &ids[0].1, number, b"part").await;
    }
    let server = server.restart().await;
    let client = server.client();
    let mut found = Vec::new();
    let mut marker: (Option<String>, Option<String>) = (None, None);
    loop {
        let sent = client
            .list_multipart_uploads()
            .bucket(BUCKET)
            .prefix("a/")
            .max_uploads(2)
            .set_key_marker(marker.0)
            .set_upload_id_marker(marker.1);
        let page = sent.send().await.expect("listed");
        for upload in page.uploads() {
            let (key, id) = (upload.key().expect("one"), upload.upload_id().expect("one"));
            found.push((key.to_owned(), id.to_owned()));
        }
        if page.is_truncated() != Some(true) {
            break;
        }
        marker = (page.next_key_marker, page.next_upload_id_marker);
    }
    let expected = ids.iter().filter(|(key, _)| key.starts_with("a/"));
    let expected: Vec<_> = expected
        .map(|(key, id)| ((*key).to_owned(), id.clone()))
        .collect();
    assert_eq!(found, expected);
    let list = client
        .list_parts()
        .bucket(BUCKET)
        .key("a/1")
        .upload_id(&ids[0].1);
    let first = list.clone().max_parts(2).send().await.expect("listed");
    assert_eq!((first.parts().len(), first.is_truncated()), (2, Some(true)));
    let rest = list.set_part_number_marker(first.next_part_number_marker);
    let rest = rest.send().await.expect("listed");
    assert_eq!((rest.parts().len(), rest.is_truncated()), (1, Some(false)));
    assert_eq!(rest.parts()[0].size(), Some(4));
    for (key, id) in &ids {
        let abort = client.abort_multipart_upload().bucket(BUCKET).key(*key);
        let abort = abort.upload_id(id);
        abort.clone().send().await.expect("aborted");
        assert!(is(&refusal(abort.send().await), 404, "NoSuchUpload"));
    }
    let left = std::fs::read_dir(server.folder().join("buckets/bucket/uploads"));
    assert_eq!(left.expect("readable").count(), 0);
}

#[tokio::test]
async fn parts_carry_their_checksums() {
    let server = Server::start().await;
    let client = checking_client(server.address);
    let body = bytes_of("body", PART_BYTES + 100);
    let begun = client.create_multipart_upload().bucket(BUCKET).key("key");
    let begun = begun.checksum_algorithm(ChecksumAlgorithm::Crc32).send();
    let id = begun.await.expect("begun").upload_id.expect("one");
    let parts = [
        part(&client, "key", &id, 1, &body[..PART_BYTES]).await,
        part(&client, "key", &id, 2, &body[PART_BYTES..]).await,
    ];
    assert!(parts.iter().all(|part| part.checksum_crc32().is_some()));
    let wrong = CompletedPart::builder()
        .part_number(1)
        .checksum_crc32("AAAAAA==");
    let wrong = complete(&client, "key", &id, &[wrong.build()]).send().await;
    assert!(is(&refusal(wrong), 400, "InvalidPart"));
    let wrong = complete(&client, "key", &id, &parts).checksum_crc32("AAAAAA==-2");
    assert!(is(&refusal(wrong.send().await), 400, "BadDigest"));
    let done = complete(&client, "key", &id, &parts).send().await;
    let sum = done.expect("complete").checksum_crc32;
    assert!(sum.expect("one").ends_with("-2"));
    assert!(get(&client, "key").await == body);
}
