use super::upload::Upload;
use super::*;
use bytes::Bytes;
use tempfile::TempDir;

fn open(folder: &Path) -> Storage {
    Storage::open(folder, Clock::manual(0)).expect("opened")
}

fn begin() -> (TempDir, Storage) {
    let folder = TempDir::new().expect("a folder");
    let storage = open(folder.path());
    storage.bucket_create("bucket").expect("made");
    (folder, storage)
}

fn bucket(storage: &Storage) -> Arc<Bucket> {
    storage.bucket("bucket").expect("there")
}

fn sealed(bucket: &Bucket, key: &str, body: &'static [u8], etag: &str) -> (Draft, Header) {
    let mut header = Header::new(key, Content::default());
    let mut draft = bucket.draft(&header).expect("a draft");
    draft.write(&[Bytes::from_static(body)]).expect("written");
    header.size = draft.written();
    etag.clone_into(&mut header.etag);
    draft.seal(&header).expect("sealed");
    (draft, header)
}

fn put(
    bucket: &Bucket,
    key: &str,
    body: &'static [u8],
    condition: &Condition,
) -> Result<(), StorageError> {
    drop(bucket.alive()?);
    let (draft, header) = sealed(bucket, key, body, "00");
    bucket.publish(draft, &header, condition)
}

fn get(bucket: &Bucket, key: &str) -> Result<Vec<u8>, StorageError> {
    let mut opened = bucket.open(key)?;
    let mut body = Vec::new();
    while (body.len() as u64) < opened.header.size {
        body.extend(opened.read(body.len() as u64, 3)?);
    }
    Ok(body)
}

fn upload(bucket: &Bucket, key: &str) -> Arc<Upload> {
    let about = NewUpload {
        key: key.to_owned(),
        content: Content::default(),
        checksum: None,
        initiated_ms: 0,
    };
    let id = bucket.upload_create(about).expect("begun");
    let upload = bucket.upload(key, &id).expect("there");
    let (draft, header) = sealed(bucket, key, b"a part", "aa");
    bucket
        .part_publish(&upload, 1, draft, header)
        .expect("a part");
    upload
}

fn complete(bucket: &Bucket, upload: &Upload, condition: &Condition) -> Result<(), StorageError> {
    let parts = [CompletedPart {
        number: 1,
        etag: Some("aa".to_owned()),
        checksum: None,
    }];
    let completed = bucket.upload_complete(upload, &parts, condition, |size, _| size == 6);
    completed.map(drop)
}

/// The files below a folder, but for its `lock` and `format`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        if entry.file_type().expect("known").is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.retain(|path| !path.ends_with("lock") && !path.ends_with("format"));
    found
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let (folder, storage) = begin();
    put(&bucket(&storage), "a/b", b"content", &Condition::None).expect("written");
    let begun = upload(&bucket(&storage), "c");
    complete(&bucket(&storage), &begun, &Condition::Absent).expect("complete");
    drop((storage, begun));
    let storage = open(folder.path());
    let bucket = bucket(&storage);
    assert_eq!(get(&bucket, "a/b").expect("there"), b"content");
    assert_eq!(get(&bucket, "c").expect("there"), b"a part");
    bucket.delete("c", &Condition::None).expect("removed");
    bucket.delete("a/b", &Condition::None).expect("removed");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_second_server_is_refused() {
    let (folder, storage) = begin();
    let second = Storage::open(folder.path(), Clock::system());
    assert!(matches!(second, Err(StorageError::InUse(_))));
    // Whoever still may write keeps the folder.
    let bucket = bucket(&storage);
    drop(storage);
    let second = Storage::open(folder.path(), Clock::system());
    assert!(matches!(second, Err(StorageError::InUse(_))));
    drop(bucket);
    open(folder.path());
}

#[test]
fn another_format_is_refused() {
    let (folder, storage) = begin();
    drop(storage);
    fs::write(folder.path().join("format"), "2").expect("written");
    let opened = Storage::open(folder.path(), Clock::system());
    assert!(matches!(opened, Err(StorageError::UnknownFormat { .. })));
}

#[test]
fn drafts_are_nothing() {
    let (folder, storage) = begin();
    let (draft, _) = sealed(&bucket(&storage), "a", b"content", "00");
    std::mem::forget(draft);
    assert_eq!(files(folder.path()).len(), 1);
    // Kept by the draft's bucket no more.
    drop(storage);
    let storage = open(folder.path());
    assert_eq!(files(folder.path()).len(), 0);
    let absent = get(&bucket(&storage), "a");
    assert!(matches!(absent, Err(StorageError::NoSuchKey)));
}

#[test]
fn what_is_damaged_is_neither_there_nor_not_there() {
    for cut in [true, false] {
        let (folder, storage) = begin();
        put(&bucket(&storage), "a", b"content", &Condition::None).expect("written");
        drop(storage);
        let path = files(folder.path()).pop().expect("a file");
        let mut bytes = fs::read(&path).expect("readable");
        if cut {
            bytes.truncate(bytes.len() - 1);
        } else {
            bytes[30] ^= 1;
        }
        fs::write(&path, bytes).expect("written");
        let storage = open(folder.path());
        let bucket = bucket(&storage);
        let damaged = |result| matches!(result, Err(StorageError::Damaged { .. }));
        assert!(damaged(get(&bucket, "a").map(drop)));
        assert!(damaged(put(&bucket, "a", b"new", &Condition::Absent)));
        assert!(damaged(put(&bucket, "a", b"new", &Condition::Present)));
        let refused = storage.bucket_delete("bucket");
        assert!(matches!(refused, Err(StorageError::BucketNotEmpty)));
        put(&bucket, "a", b"new", &Condition::None).expect("written");
        assert_eq!(get(&bucket, "a").expect("there"), b"new");
    }
}

#[test]
fn a_file_that_was_taken_away_is_an_error_until_it_is_deleted() {
    let (folder, storage) = begin();
    let bucket = bucket(&storage);
    put(&bucket, "a", b"content", &Condition::None).expect("written");
    let path = files(folder.path()).pop().expect("a file");
    fs::remove_file(path).expect("removed");
    assert!(matches!(get(&bucket, "a"), Err(StorageError::Io { .. })));
    bucket.delete("a", &Condition::None).expect("removed");
    assert!(matches!(get(&bucket, "a"), Err(StorageError::NoSuchKey)));
}

#[test]
fn parts_that_nobody_owns_go_unless_an_object_may_own_them() {
    let (folder, storage) = begin();
    let begun = upload(&bucket(&storage), "a");
    complete(&bucket(&storage), &begun, &Condition::None).expect("complete");
    drop((storage, begun));
    let object = files(&folder.path().join("buckets/bucket/objects"));
    let whole = fs::read(&object[0]).expect("readable");
    fs::write(&object[0], &whole[..100]).expect("written");
    let parts = || files(&folder.path().join("buckets/bucket/uploads")).len();
    drop(open(folder.path()));
    assert_eq!(parts(), 1);
    fs::write(&object[0], &whole).expect("written");
    let storage = open(folder.path());
    assert_eq!(get(&bucket(&storage), "a").expect("there"), b"a part");
    drop(storage);
    fs::remove_file(&object[0]).expect("removed");
    drop(open(folder.path()));
    assert_eq!(parts(), 0);
}

#[test]
fn a_crash_before_the_mark_is_gone_leaves_a_complete_object() {
    let (folder, storage) = begin();
    let begun = upload(&bucket(&storage), "a");
    let uploads = folder.path().join("buckets/bucket/uploads");
    let mark = uploads.join(&begun.id).join("upload.json");
    let text = fs::read(&mark).expect("readable");
    complete(&bucket(&storage), &begun, &Condition::None).expect("complete");
    assert!(!mark.exists());
    fs::write(&mark, text).expect("written");
    drop((storage, begun));
    let storage = open(folder.path());
    let bucket = bucket(&storage);
    assert!(!mark.exists());
    assert!(bucket.upload_list("", None, 10).0.is_empty());
    assert_eq!(get(&bucket, "a").expect("there"), b"a part");
}

#[test]
fn an_upload_goes_on_after_a_failed_condition_and_ends_once() {
    let (_folder, storage) = begin();
    let bucket = bucket(&storage);
    put(&bucket, "a", b"other", &Condition::None).expect("written");
    let begun = upload(&bucket, "a");
    let failed = complete(&bucket, &begun, &Condition::Absent);
    assert!(matches!(failed, Err(StorageError::ConditionFailed)));
    bucket.delete("a", &Condition::None).expect("removed");
    complete(&bucket, &begun, &Condition::Absent).expect("complete");
    let again = complete(&bucket, &begun, &Condition::None);
    assert!(matches!(again, Err(StorageError::NoSuchUpload)));
    let (draft, header) = sealed(&bucket, "a", b"late", "00");
    let late = bucket.part_publish(&begun, 2, draft, header);
    assert!(matches!(late, Err(StorageError::NoSuchUpload)));
}

#[test]
fn whoever_reads_an_object_reads_it_to_its_end() {
    let (folder, storage) = begin();
    let bucket = bucket(&storage);
    let begun = upload(&bucket, "a");
    complete(&bucket, &begun, &Condition::None).expect("complete");
    let mut opened = bucket.open("a").expect("there");
    put(&bucket, "a", b"new", &Condition::None).expect("written");
    assert_eq!(opened.read(0, 100).expect("readable"), b"a part");
    assert_eq!(files(folder.path()).len(), 2);
    drop(opened);
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn uploads_that_nobody_finishes_end() {
    let folder = TempDir::new().expect("a folder");
    let clock = Clock::manual(0);
    let storage = Storage::open(folder.path(), clock.clone()).expect("opened");
    storage.bucket_create("bucket").expect("made");
    let bucket = bucket(&storage);
    upload(&bucket, "a");
    clock.advance_ms(7 * 24 * 3600 * 1000);
    bucket.uploads_expire();
    assert_eq!(bucket.upload_list("", None, 10).0.len(), 1);
    clock.advance_ms(1);
    bucket.uploads_expire();
    assert!(bucket.upload_list("", None, 10).0.is_empty());
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_bucket_that_is_gone_takes_no_writes() {
    let (_folder, storage) = begin();
    let bucket = bucket(&storage);
    let (draft, header) = sealed(&bucket, "a", b"content", "00");
    storage.bucket_delete("bucket").expect("removed");
    let late = bucket.publish(draft, &header, &Condition::None);
    assert!(matches!(late, Err(StorageError::NoSuchBucket)));
    storage.bucket_create("bucket").expect("made again");
    for name in ["..", "a", "a/b", "Bucket", "buck..et", ""] {
        assert!(storage.bucket_create(name).is_err(), "{name}");
    }
}

#[test]
fn after_a_folder_could_not_be_synced_nothing_is_written() {
    let (folder, storage) = begin();
    let bucket = bucket(&storage);
    put(&bucket, "a", b"content", &Condition::None).expect("written");
    bucket
        .disk
        .sync_folder(&folder.path().join("none"))
        .expect_err("not there");
    let refused = put(&bucket, "b", b"content", &Condition::None);
    assert!(matches!(refused, Err(StorageError::Stopped)));
    assert_eq!(get(&bucket, "a").expect("there"), b"content");
}
