use super::world::{BUCKET, Server, get, is, put, refusal};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier, ServerSideEncryption};
use std::time::Duration;

#[tokio::test]
async fn an_object_comes_back_as_it_was_given() {
    let server = Server::start().await;
    let client = server.client();
    let key = "some/key with ünusual + %41 //characters";
    let sent = client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .content_type("text/plain")
        .cache_control("no-store")
        .metadata("owner", "someone")
        .body(ByteStream::from_static(b"content"));
    let put = sent.send().await.expect("written");
    assert_eq!(put.e_tag(), Some("\"9a0364b9e99bb480dd25e1f0284c8555\""));
    let server = server.restart().await;
    let client = server.client();
    let got = client.get_object().bucket(BUCKET).key(key).send();
    let got = got.await.expect("there");
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.cache_control(), Some("no-store"));
    assert_eq!(got.content_length(), Some(7));
    assert_eq!(got.e_tag(), put.e_tag());
    let owner = got.metadata().and_then(|all| all.get("owner"));
    assert_eq!(owner.map(String::as_str), Some("someone"));
    let body = got.body.collect().await.expect("whole").to_vec();
    assert_eq!(body, b"content");
    let head = client.head_object().bucket(BUCKET).key(key).send();
    let head = head.await.expect("there");
    assert_eq!(head.content_length(), Some(7));
    assert_eq!(head.e_tag(), put.e_tag());
    assert!(head.last_modified().is_some());
    // A key is a text, not a path.
    let other = client.get_object().bucket(BUCKET).key("some/key");
    assert!(is(&refusal(other.send().await), 404, "NoSuchKey"));
    let deleted = client.delete_object().bucket(BUCKET).key(key);
    deleted.clone().send().await.expect("deleted");
    deleted.send().await.expect("deleted already");
    let head = client.head_object().bucket(BUCKET).key(key);
    assert!(is(&refusal(head.send().await), 404, "NotFound"));
}

#[tokio::test]
async fn an_object_can_be_empty_or_replaced() {
    let server = Server::start().await;
    let client = server.client();
    for body in ["", "first", "second, and longer", ""] {
        put(&client, "key", body).await;
        assert_eq!(get(&client, "key").await, body.as_bytes());
    }
}

#[tokio::test]
async fn ranges_are_what_they_say() {
    let server = Server::start().await;
    let client = server.client();
    put(&client, "key", "0123456789").await;
    let get = |range: &'static str| {
        let sent = client.get_object().bucket(BUCKET).key("key").range(range);
        sent.send()
    };
    for (range, body, told) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=3-", "3456789", "bytes 3-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
        ("bytes=-4", "6789", "bytes 6-9/10"),
        ("bytes=-400", "0123456789", "bytes 0-9/10"),
    ] {
        let got = get(range).await.expect(range);
        assert_eq!(got.content_range(), Some(told));
        assert_eq!(
            got.content_length().map(usize::try_from),
            Some(Ok(body.len()))
        );
        let got = got.body.collect().await.expect("whole").to_vec();
        assert_eq!(got, body.as_bytes());
    }
    for range in ["bytes=10-", "bytes=-0"] {
        assert!(
            is(&refusal(get(range).await), 416, "InvalidRange"),
            "{range}"
        );
    }
}

#[tokio::test]
async fn reads_keep_their_conditions() {
    let server = Server::start().await;
    let client = server.client();
    put(&client, "key", "content").await;
    let etag = "\"9a0364b9e99bb480dd25e1f0284c8555\"";
    let get = || client.get_object().bucket(BUCKET).key("key");
    get().if_match(etag).send().await.expect("it is this");
    get()
        .if_none_match("\"other\"")
        .send()
        .await
        .expect("it is another");
    let other = get().if_match("\"other\"").send().await;
    assert!(is(&refusal(other), 412, "PreconditionFailed"));
    assert_eq!(refusal(get().if_none_match(etag).send().await).0, 304);
    let (early, late) = (DateTime::from_secs(1), DateTime::from_secs(4_000_000_000));
    get().if_modified_since(early).send().await.expect("it was");
    get()
        .if_unmodified_since(late)
        .send()
        .await
        .expect("it was not");
    assert_eq!(refusal(get().if_modified_since(late).send().await).0, 304);
    assert_eq!(
        refusal(get().if_unmodified_since(early).send().await).0,
        412
    );
}

#[tokio::test]
async fn writes_keep_their_conditions() {
    let server = Server::start().await;
    let client = server.client();
    let put = |body: &'static str| {
        let body = ByteStream::from_static(body.as_bytes());
        client.put_object().bucket(BUCKET).key("key").body(body)
    };
    let absent = put("a").if_match("\"other\"").send().await;
    assert!(is(&refusal(absent), 404, "NoSuchKey"));
    let first = put("first").if_none_match("*").send().await.expect("new");
    let taken = put("a").if_none_match("*").send().await;
    assert!(is(&refusal(taken), 412, "PreconditionFailed"));
    let etag = first.e_tag().expect("one");
    let second = put("second")
        .if_match(etag)
        .send()
        .await
        .expect("as it was");
    let stale = put("a").if_match(etag).send().await;
    assert!(is(&refusal(stale), 412, "PreconditionFailed"));
    let odd = put("a").if_none_match("\"other\"").send().await;
    assert!(is(&refusal(odd), 501, "NotImplemented"));
    assert_eq!(get(&client, "key").await, b"second");
    let delete = || client.delete_object().bucket(BUCKET).key("key");
    let stale = delete().if_match(etag).send().await;
    assert!(is(&refusal(stale), 412, "PreconditionFailed"));
    let etag = second.e_tag().expect("one");
    delete().if_match(etag).send().await.expect("deleted");
}

#[tokio::test]
async fn buckets_are_made_listed_and_removed() {
    let server = Server::start().await;
    let client = server.client();
    let create = |name: &str| client.create_bucket().bucket(name).send();
    create("another").await.expect("made");
    let again = create("another").await;
    assert!(is(&refusal(again), 409, "BucketAlreadyOwnedByYou"));
    let server = server.restart().await;
    let client = server.client();
    let list = client.list_buckets().send().await.expect("listed");
    let names: Vec<_> = list.buckets().iter().filter_map(|one| one.name()).collect();
    assert_eq!(names, ["another", BUCKET]);
    client
        .head_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .expect("there");
    let none = client.head_bucket().bucket("none").send().await;
    assert_eq!(refusal(none).0, 404);
    put(&client, "key", "content").await;
    let delete = |name: &str| client.delete_bucket().bucket(name).send();
    assert!(is(&refusal(delete(BUCKET).await), 409, "BucketNotEmpty"));
    delete("another").await.expect("removed");
    assert!(is(&refusal(delete("another").await), 404, "NoSuchBucket"));
    let get = client
        .get_object()
        .bucket("another")
        .key("key")
        .send()
        .await;
    assert!(is(&refusal(get), 404, "NoSuchBucket"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ends_leaves_the_folder_to_the_next() {
    let mut server = Server::start().await;
    // A program that this one starts has its files until it begins its own.
    let starting = tokio::task::spawn_blocking(|| {
        for _ in 0..1000 {
            let run = std::process::Command::new("true").status();
            assert!(run.expect("run").success());
        }
    });
    while !starting.is_finished() {
        server = server.restart().await;
        let client = server.client();
        client.list_buckets().send().await.expect("listed");
    }
    starting.await.expect("no panic");
}

#[tokio::test]
async fn copies_are_objects_of_their_own() {
    let server = Server::start().await;
    let client = server.client();
    let body = super::world::bytes_of("body", 3_000_000);
    let sent = client
        .put_object()
        .bucket(BUCKET)
        .key("a/source ü")
        .content_type("text/plain")
        .body(ByteStream::from(body.clone()));
    let put = sent.send().await.expect("written");
    let copy = |source: &str, key: &str| {
        let sent = client.copy_object().bucket(BUCKET).key(key);
        sent.copy_source(format!("{BUCKET}/{source}"))
    };
    let source = "a/source%20%C3%BC";
    let made = copy(source, "b").send().await.expect("copied");
    let result = made.copy_object_result().expect("one");
    assert_eq!(result.e_tag(), put.e_tag());
    assert_eq!(get(&client, "b").await, body);
    let replaced = copy(source, "c")
        .metadata_directive(MetadataDirective::Replace)
        .content_type("text/html");
    replaced.send().await.expect("copied");
    for (key, kind) in [("b", "text/plain"), ("c", "text/html")] {
        let head = client.head_object().bucket(BUCKET).key(key).send();
        assert_eq!(head.await.expect("there").content_type(), Some(kind));
    }
    let none = copy("none", "d").send().await;
    assert!(is(&refusal(none), 404, "NoSuchKey"));
    let itself = copy("b", "b").send().await;
    assert!(is(&refusal(itself), 400, "InvalidRequest"));
    let other = copy(source, "d").copy_source_if_match("\"other\"").send();
    assert!(is(&refusal(other.await), 412, "PreconditionFailed"));
    let taken = copy(source, "b").customize().mutate_request(|request| {
        request.headers_mut().insert("if-none-match", "*");
    });
    assert!(is(&refusal(taken.send().await), 412, "PreconditionFailed"));
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let server = Server::start().await;
    let client = server.client();
    for key in ["a", "b/<&>", "c"] {
        put(&client, key, key).await;
    }
    let named = |key: &str| ObjectIdentifier::builder().key(key).build().expect("one");
    let delete = Delete::builder()
        .objects(named("a"))
        .objects(named("b/<&>"))
        .objects(named("none"))
        .build();
    let sent = client.delete_objects().bucket(BUCKET);
    let sent = sent.delete(delete.expect("a list")).send().await;
    let sent = sent.expect("deleted");
    assert_eq!((sent.deleted().len(), sent.errors().len()), (3, 0));
    let left = client.list_objects_v2().bucket(BUCKET).send();
    let left = left.await.expect("listed");
    let left: Vec<_> = left.contents().iter().filter_map(|one| one.key()).collect();
    assert_eq!(left, ["c"]);
}

#[tokio::test]
async fn what_this_server_cannot_keep_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let put = || client.put_object().bucket(BUCKET).key("key");
    let sealed = put().server_side_encryption(ServerSideEncryption::Aes256);
    assert_eq!(refusal(sealed.send().await).0, 501);
    assert_eq!(refusal(put().tagging("a=b").send().await).0, 501);
    let large = put().metadata("name", "x".repeat(2049)).send().await;
    assert!(is(&refusal(large), 400, "MetadataTooLarge"));
    let long = client.put_object().bucket(BUCKET).key("k".repeat(1025));
    assert!(is(&refusal(long.send().await), 400, "KeyTooLongError"));
    let longest = client.put_object().bucket(BUCKET).key("k".repeat(1024));
    longest.send().await.expect("written");
}

#[tokio::test]
async fn a_signed_address_needs_no_key_until_it_expires() {
    let server = Server::start().await;
    let client = server.client();
    put(&client, "key", "content").await;
    let for_a_minute = PresigningConfig::expires_in(Duration::from_mins(1)).expect("a time");
    let signed = client.get_object().bucket(BUCKET).key("key");
    let signed = signed.presigned(for_a_minute).await.expect("signed");
    let path = signed.uri().split_once("http://").expect("one").1;
    let path = &path[path.find('/').expect("a path")..];
    let ask = |path: &str| {
        let host = server.address;
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    let answer = super::world::raw(server.address, &ask(path)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("content"));
    let later = path.replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    let answer = super::world::raw(server.address, &ask(&later)).await;
    assert!(answer.contains("SignatureDoesNotMatch"), "{answer}");
}
