use super::world::{BUCKET, SECRET, Server, client, get, is, put, raw, refusal};
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use lumadb_contract::scope::{Access, scoped_credentials};
use lumadb_contract::secret::Secret;
use std::time::Duration;

fn scoped(server: &Server, scope: &str, access: Access) -> Client {
    let root = Secret::new(SECRET);
    let (id, secret) = scoped_credentials(&root, scope, access).expect("a scope");
    client(server.address, &id, secret.expose())
}

fn denied(told: &(u16, String)) -> bool {
    // The answer to HEAD has no body that could hold a code.
    told.0 == 403 && (told.1 == "AccessDenied" || told.1.is_empty())
}

fn delete_of(keys: &[&str]) -> Delete {
    let named = |key: &&str| ObjectIdentifier::builder().key(*key).build().expect("one");
    let objects = keys.iter().map(named).collect();
    let delete = Delete::builder().set_objects(Some(objects));
    delete.build().expect("a list")
}

type Told = Vec<(&'static str, (u16, String))>;

/// What needs to write, on a key.
async fn writes(client: &Client, key: &str, source: &str) -> Told {
    let put = client.put_object().bucket(BUCKET).key(key);
    let put = put.body(ByteStream::from_static(b"content"));
    let copy = client.copy_object().bucket(BUCKET).key(key);
    let copy = copy.copy_source(format!("{BUCKET}/{source}"));
    let delete = client.delete_object().bucket(BUCKET).key(key);
    let many = client.delete_objects().bucket(BUCKET);
    let many = many.delete(delete_of(&[key]));
    vec![
        ("put", refusal(put.send().await)),
        ("copy", refusal(copy.send().await)),
        ("delete", refusal(delete.send().await)),
        ("delete many", refusal(many.send().await)),
    ]
}

/// The same, of an upload.
async fn uploads(client: &Client, key: &str) -> Told {
    let id = "0".repeat(32);
    let begin = client.create_multipart_upload().bucket(BUCKET).key(key);
    let part = client.upload_part().bucket(BUCKET).key(key).upload_id(&id);
    let part = part.part_number(1);
    let part = part.body(ByteStream::from_static(b"content"));
    let named = CompletedPart::builder().part_number(1).build();
    let named = CompletedMultipartUpload::builder().parts(named).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(key);
    let complete = complete.upload_id(&id).multipart_upload(named);
    let abort = client.abort_multipart_upload().bucket(BUCKET).key(key);
    let abort = abort.upload_id(&id);
    let parts = client.list_parts().bucket(BUCKET).key(key).upload_id(&id);
    let list = client.list_multipart_uploads().bucket(BUCKET).prefix(key);
    vec![
        ("begin", refusal(begin.send().await)),
        ("part", refusal(part.send().await)),
        ("complete", refusal(complete.send().await)),
        ("abort", refusal(abort.send().await)),
        ("parts", refusal(parts.send().await)),
        ("uploads", refusal(list.send().await)),
    ]
}

/// What needs to read, on a key.
async fn reads(client: &Client, key: &str) -> Told {
    vec![
        (
            "get",
            refusal(client.get_object().bucket(BUCKET).key(key).send().await),
        ),
        (
            "head",
            refusal(client.head_object().bucket(BUCKET).key(key).send().await),
        ),
        (
            "list",
            refusal(
                client
                    .list_objects_v2()
                    .bucket(BUCKET)
                    .prefix(key)
                    .send()
                    .await,
            ),
        ),
    ]
}

/// What is not for scoped keys at all.
async fn others(client: &Client) -> Told {
    vec![
        ("buckets", refusal(client.list_buckets().send().await)),
        (
            "head bucket",
            refusal(client.head_bucket().bucket(BUCKET).send().await),
        ),
        (
            "create",
            refusal(client.create_bucket().bucket("another").send().await),
        ),
        (
            "remove",
            refusal(client.delete_bucket().bucket(BUCKET).send().await),
        ),
        (
            "list all",
            refusal(client.list_objects_v2().bucket(BUCKET).send().await),
        ),
        (
            "list v1",
            refusal(
                client
                    .list_objects()
                    .bucket(BUCKET)
                    .prefix("arc_1/")
                    .send()
                    .await,
            ),
        ),
        (
            "all uploads",
            refusal(client.list_multipart_uploads().bucket(BUCKET).send().await),
        ),
        (
            "location",
            refusal(client.get_bucket_location().bucket(BUCKET).send().await),
        ),
        (
            "some inside, some not",
            refusal(
                client
                    .delete_objects()
                    .bucket(BUCKET)
                    .delete(delete_of(&["arc_1/mine", "arc_2/other"]))
                    .send()
                    .await,
            ),
        ),
        (
            "copy from outside",
            refusal(
                client
                    .copy_object()
                    .bucket(BUCKET)
                    .key("arc_1/copy")
                    .copy_source(format!("{BUCKET}/arc_2/other"))
                    .send()
                    .await,
            ),
        ),
    ]
}

#[tokio::test]
async fn a_scoped_key_reaches_its_archive_and_nothing_else() {
    let server = Server::start().await;
    let root = server.client();
    put(&root, "arc_1/mine", "mine").await;
    put(&root, "arc_2/other", "other").await;
    let writer = scoped(&server, "arc_1", Access::ReadWrite);
    let reader = scoped(&server, "arc_1", Access::ReadOnly);
    let mut answers = Vec::new();
    for client in [&writer, &reader] {
        for outside in [
            "arc_2/other",
            "arc_10/x",
            "arc_1",
            "arc_",
            "other",
            "/arc_1/x",
        ] {
            answers.extend(writes(client, outside, "arc_1/mine").await);
            answers.extend(uploads(client, outside).await);
            answers.extend(reads(client, outside).await);
        }
        answers.extend(others(client).await);
    }
    answers.extend(writes(&reader, "arc_1/mine", "arc_1/mine").await);
    answers.extend(uploads(&reader, "arc_1/mine").await);
    for (what, told) in answers {
        assert!(denied(&told), "{what}: {told:?}");
    }
    assert_eq!(get(&root, "arc_1/mine").await, b"mine");
    assert_eq!(get(&root, "arc_2/other").await, b"other");
}

#[tokio::test]
async fn inside_its_archive_a_key_does_what_it_says() {
    let server = Server::start().await;
    let writer = scoped(&server, "arc_1", Access::ReadWrite);
    let reader = scoped(&server, "arc_1", Access::ReadOnly);
    put(&writer, "arc_1/wal/1", "content").await;
    let copy = writer.copy_object().bucket(BUCKET).key("arc_1/copy");
    let copy = copy.copy_source(format!("{BUCKET}/arc_1/wal/1"));
    copy.send().await.expect("copied");
    for client in [&writer, &reader] {
        assert_eq!(get(client, "arc_1/wal/1").await, b"content");
        let head = client.head_object().bucket(BUCKET).key("arc_1/wal/1");
        head.send().await.expect("there");
        let list = client.list_objects_v2().bucket(BUCKET).prefix("arc_1/");
        assert_eq!(list.send().await.expect("listed").contents().len(), 2);
        // Not there is an answer.
        let none = client.get_object().bucket(BUCKET).key("arc_1/none");
        assert!(is(&refusal(none.send().await), 404, "NoSuchKey"));
    }
    let begun = writer
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("arc_1/large");
    let begun = begun.send().await.expect("begun");
    let list = writer
        .list_multipart_uploads()
        .bucket(BUCKET)
        .prefix("arc_1/");
    assert_eq!(list.send().await.expect("listed").uploads().len(), 1);
    let abort = writer
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("arc_1/large");
    let abort = abort.upload_id(begun.upload_id().expect("one"));
    abort.send().await.expect("aborted");
    let delete = writer.delete_objects().bucket(BUCKET);
    let delete = delete.delete(delete_of(&["arc_1/wal/1", "arc_1/copy"]));
    assert_eq!(delete.send().await.expect("deleted").deleted().len(), 2);
}

#[tokio::test]
async fn a_signed_address_carries_no_more_than_its_key() {
    let server = Server::start().await;
    let root = server.client();
    put(&root, "arc_2/other", "other").await;
    let writer = scoped(&server, "arc_1", Access::ReadWrite);
    let for_a_minute = PresigningConfig::expires_in(Duration::from_mins(1)).expect("a time");
    let signed = writer.get_object().bucket(BUCKET).key("arc_2/other");
    let signed = signed.presigned(for_a_minute).await.expect("signed");
    let path = signed
        .uri()
        .split_once(&server.address.to_string())
        .expect("one")
        .1;
    let host = server.address;
    let ask = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = raw(server.address, &ask).await;
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
}

#[tokio::test]
async fn whoever_has_no_key_gets_nothing() {
    let server = Server::start().await;
    let root = server.client();
    put(&root, "arc_1/mine", "mine").await;
    let host = server.address;
    for path in ["/", "/bucket", "/bucket/arc_1/mine", "/bucket?list-type=2"] {
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw(server.address, &ask).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    }
    for id in ["nobody", "arc_1", "arc_1.rx", "ARC.rw", "root.rw.rw"] {
        let stranger = client(server.address, id, SECRET);
        let get = stranger.get_object().bucket(BUCKET).key("arc_1/mine");
        assert!(is(&refusal(get.send().await), 403, "InvalidAccessKeyId"));
    }
    // A right key ID with another's secret.
    let (_, secret) =
        scoped_credentials(&Secret::new(SECRET), "arc_1", Access::ReadOnly).expect("a scope");
    let stranger = client(server.address, "arc_1.rw", secret.expose());
    let get = stranger.get_object().bucket(BUCKET).key("arc_1/mine");
    assert!(is(&refusal(get.send().await), 403, "SignatureDoesNotMatch"));
}

#[tokio::test]
async fn a_refusal_reaches_whoever_is_still_sending() {
    let server = Server::start().await;
    let reader = scoped(&server, "arc_1", Access::ReadOnly);
    for _ in 0..5 {
        let body = ByteStream::from(vec![7; 16 * 1024 * 1024]);
        let put = reader.put_object().bucket(BUCKET).key("arc_1/x").body(body);
        assert!(is(&refusal(put.send().await), 403, "AccessDenied"));
    }
}

#[tokio::test]
async fn forms_are_refused_before_they_are_read() {
    let server = Server::start().await;
    let host = server.address;
    let form = "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\narc_1/mine\r\n--x--\r\n";
    let ask = format!(
        "POST /bucket HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {}\r\n\r\n{form}",
        form.len(),
    );
    let answer = raw(server.address, &ask).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
}
