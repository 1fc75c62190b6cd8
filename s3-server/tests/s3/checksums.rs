use super::world::{BUCKET, ROOT, SECRET, Server, checking_client, get, is, raw, refusal};
use aws_sdk_s3::config::ConfigBag;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use time::OffsetDateTime;
use time::macros::format_description;

/// A body that the client reads as it sends: its checksum comes in a trailer.
async fn streamed(file: &NamedTempFile) -> ByteStream {
    std::fs::write(file.path(), "content").expect("written");
    ByteStream::from_path(file.path()).await.expect("readable")
}

#[tokio::test]
async fn a_checksum_comes_with_the_body_and_stays() {
    let server = Server::start().await;
    let client = checking_client(server.address);
    let file = NamedTempFile::new().expect("a file");
    for (algorithm, length) in [
        (ChecksumAlgorithm::Crc32, 8),
        (ChecksumAlgorithm::Crc32C, 8),
        (ChecksumAlgorithm::Crc64Nvme, 12),
        (ChecksumAlgorithm::Sha1, 28),
        (ChecksumAlgorithm::Sha256, 44),
    ] {
        let sent = client
            .put_object()
            .bucket(BUCKET)
            .key("key")
            .checksum_algorithm(algorithm.clone())
            .body(streamed(&file).await);
        sent.send().await.expect("written");
        let head = client.head_object().bucket(BUCKET).key("key");
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await;
        let head = head.expect("there");
        let value = match algorithm {
            ChecksumAlgorithm::Crc32 => head.checksum_crc32,
            ChecksumAlgorithm::Crc32C => head.checksum_crc32_c,
            ChecksumAlgorithm::Crc64Nvme => head.checksum_crc64_nvme,
            ChecksumAlgorithm::Sha1 => head.checksum_sha1,
            _ => head.checksum_sha256,
        };
        assert_eq!(value.map(|value| value.len()), Some(length), "{algorithm}");
        // The client compares what it reads with it.
        assert_eq!(get(&client, "key").await, b"content");
    }
}

#[tokio::test]
async fn a_body_that_differs_from_what_is_said_of_it_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let put = || {
        let body = ByteStream::from_static(b"content");
        client.put_object().bucket(BUCKET).key("key").body(body)
    };
    let zeros = |bytes| data_encoding::BASE64.encode(&vec![0; bytes]);
    for wrong in [
        put().checksum_crc32(zeros(4)),
        put().checksum_crc32_c(zeros(4)),
        put().checksum_crc64_nvme(zeros(8)),
        put().checksum_sha1(zeros(20)),
        put().checksum_sha256(zeros(32)),
        put().content_md5(zeros(16)),
    ] {
        assert!(is(&refusal(wrong.send().await), 400, "BadDigest"));
    }
    let none = put().content_md5("none").send().await;
    assert!(is(&refusal(none), 400, "InvalidDigest"));
    let head = client.head_object().bucket(BUCKET).key("key").send().await;
    assert_eq!(refusal(head).0, 404);
    let right = put().content_md5("mgNkuembtIDdJeHwKEyFVQ==").send().await;
    right.expect("written");
}

/// Sends another body than was signed and counted.
#[derive(Debug)]
struct Swap(&'static str);

impl Intercept for Swap {
    fn name(&self) -> &'static str {
        "Swap"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *context.request_mut().body_mut() = SdkBody::from(self.0);
        Ok(())
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A PUT whose body is not signed and says of itself, behind its end, what it is: what clients send
/// over TLS, so ours does not here. By the documentation of Signature Version 4.
fn unsigned_put(server: &Server, body: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server looks at the clock too"
    )]
    let now = OffsetDateTime::now_utc();
    let day = now.format(format_description!("[year][month][day]"));
    let time = now.format(format_description!("[hour][minute][second]"));
    let (day, time) = (day.expect("a day"), time.expect("a time"));
    let moment = format!("{day}T{time}Z");
    let headers = [
        ("host", server.address.to_string()),
        (
            "x-amz-content-sha256",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
        ),
        ("x-amz-date", moment.clone()),
        ("x-amz-decoded-content-length", "7".to_owned()),
        ("x-amz-trailer", "x-amz-checksum-crc32".to_owned()),
    ];
    let names = headers.each_ref().map(|(name, _)| *name).join(";");
    let lines = headers
        .map(|(name, value)| format!("{name}:{value}\n"))
        .concat();
    let hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    let canonical = format!("PUT\n/{BUCKET}/key\n\n{lines}\n{names}\n{hash}");
    let scope = format!("{day}/local/s3/aws4_request");
    let canonical = HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{canonical}");
    let key = ["local", "s3", "aws4_request"].iter().fold(
        hmac(format!("AWS4{SECRET}").as_bytes(), &day),
        |key, part| hmac(&key, part),
    );
    let signature = HEXLOWER.encode(&hmac(&key, &text));
    let lines = lines.replace('\n', "\r\n");
    format!(
        "PUT /{BUCKET}/key HTTP/1.1\r\n{lines}connection: close\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={ROOT}/{scope}, SignedHeaders={names}, \
         Signature={signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    )
}

#[tokio::test]
async fn a_trailer_is_checked() {
    let server = Server::start().await;
    let client = server.client();
    let put = async |body: &str| raw(server.address, &unsigned_put(&server, body)).await;
    for (body, code) in [
        (
            "7\r\ncontent\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
            "BadDigest",
        ),
        (
            "7\r\nconTent\r\n0\r\nx-amz-checksum-crc32:/sUwqQ==\r\n\r\n",
            "BadDigest",
        ),
        (
            "7\r\ncontent\r\n0\r\nx-amz-nothing:/sUwqQ==\r\n\r\n",
            "MalformedTrailerError",
        ),
        ("7\r\ncontent\r\n0\r\n\r\n", "MalformedTrailerError"),
        (
            "6\r\nconten\r\n0\r\nx-amz-checksum-crc32:/sUwqQ==\r\n\r\n",
            "IncompleteBody",
        ),
        ("6\r\nconten\r\n", "IncompleteBody"),
        ("7\r\ncont", "IncompleteBody"),
        ("fffffff\r\ncontent\r\n0\r\n\r\n", "EntityTooLarge"),
    ] {
        let answer = put(body).await;
        let told = format!("<Code>{code}</Code>");
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains(&told),
            "{body}: {answer}"
        );
        let head = client.head_object().bucket(BUCKET).key("key").send().await;
        assert_eq!(refusal(head).0, 404);
    }
    let answer = put("7\r\ncontent\r\n0\r\nx-amz-checksum-crc32:/sUwqQ==\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(get(&client, "key").await, b"content");
}

#[tokio::test]
async fn a_body_that_is_not_as_signed_is_refused() {
    let server = Server::start().await;
    // Without checksums the client signs the hash of the body.
    let client = server.client();
    let sent = client.put_object().bucket(BUCKET).key("key");
    let sent = sent.body(ByteStream::from_static(b"content"));
    let sent = sent.customize().interceptor(Swap("conTent")).send().await;
    let told = refusal(sent);
    assert!(is(&told, 400, "XAmzContentSHA256Mismatch"), "{told:?}");
    let wrong = super::world::client(server.address, ROOT, "another secret");
    let sent = wrong.get_object().bucket(BUCKET).key("key").send().await;
    assert!(is(&refusal(sent), 403, "SignatureDoesNotMatch"));
}
