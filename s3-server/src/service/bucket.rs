//! Makes, lists and removes buckets.

use super::{Answer, Service, blocking};
use crate::clock::moment;
use s3s::S3Response;
use s3s::dto::{
    Bucket, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    ListBucketsInput, ListBucketsOutput,
};

/// All of them at once: they are few.
pub(super) fn list(service: &Service, input: &ListBucketsInput) -> S3Response<ListBucketsOutput> {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let all = service.storage.buckets();
    let named = all
        .into_iter()
        .filter(|bucket| bucket.name().starts_with(prefix));
    let buckets = named.map(|bucket| Bucket {
        name: Some(bucket.name()),
        creation_date: Some(moment(bucket.created_ms).into()),
        ..Bucket::default()
    });
    S3Response::new(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        prefix: input.prefix.clone(),
        ..ListBucketsOutput::default()
    })
}

pub(super) async fn create(
    service: &Service,
    input: CreateBucketInput,
) -> Answer<CreateBucketOutput> {
    super::conditions::refuse(&[(
        input.object_lock_enabled_for_bucket.unwrap_or_default(),
        "object lock",
    )])?;
    let storage = service.storage.clone();
    let location = format!("/{}", input.bucket);
    blocking(move || storage.bucket_create(&input.bucket)).await?;
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(location),
    }))
}

pub(super) async fn delete(
    service: &Service,
    input: DeleteBucketInput,
) -> Answer<DeleteBucketOutput> {
    let storage = service.storage.clone();
    blocking(move || storage.bucket_delete(&input.bucket)).await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}
