//! An S3 server on a folder, for clouds that have no other object store.
