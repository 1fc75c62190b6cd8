use super::world::{BUCKET, ServerProcess, bytes_of, get, is, put, refusal};
use aws_sdk_s3::primitives::ByteStream;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A small disk, if this user may mount one.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "none"])
            .arg(folder.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(ended.expect("started").success());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing_half() {
    let Some(disk) = Disk::mount() else {
        eprintln!("skipped: this user may not mount a disk");
        return;
    };
    let server = ServerProcess::start(disk.path());
    let client = server.client();
    put(&client, "before", "content").await;
    let large = || ByteStream::from(bytes_of("large", 9_000_000));
    let sent = client
        .put_object()
        .bucket(BUCKET)
        .key("large")
        .body(large());
    assert!(is(&refusal(sent.send().await), 507, "InsufficientStorage"));
    let begun = client.create_multipart_upload().bucket(BUCKET).key("large");
    let id = begun.send().await.expect("begun").upload_id.expect("one");
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key("large")
        .upload_id(id);
    let part = part.part_number(1).body(large());
    assert!(is(&refusal(part.send().await), 507, "InsufficientStorage"));
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("large")
        .send()
        .await;
    assert_eq!(refusal(head).0, 404);
    assert_eq!(
        std::fs::read_dir(disk.path().join("tmp"))
            .expect("readable")
            .count(),
        0
    );
    assert_eq!(get(&client, "before").await, b"content");
    put(&client, "after", "content").await;
    drop(server);
    let server = ServerProcess::start(disk.path());
    assert_eq!(get(&server.client(), "after").await, b"content");
}
