//! What is there.

use super::retry::Retry;
use super::{ObjectStore, StoreError};
use time::OffsetDateTime;

/// Objects of one page, at most: what S3 gives.
const PAGE_MAX: i32 = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Without the store's prefix.
    pub name: String,
    pub bytes: u64,
    /// By the store's clock; for housekeeping only, nothing is decided by it.
    pub modified: Option<OffsetDateTime>,
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// In order of their names.
    pub objects: Vec<ObjectInfo>,
    /// Names that go on below a slash, where the listing was asked for one level: with the slash.
    pub folders: Vec<String>,
    /// Whether there are more behind the last of these.
    pub more: bool,
}

impl Listed {
    /// Where the next page begins.
    fn last_name(&self) -> Option<&str> {
        let object = self.objects.last().map(|object| object.name.as_str());
        object.max(self.folders.last().map(String::as_str))
    }
}

impl ObjectStore {
    /// Objects whose name begins with `below`, from the first behind `after` on.
    pub async fn list_page(&self, below: &str, after: Option<&str>) -> Result<Listed, StoreError> {
        self.list_request(below, after, false).await
    }

    /// All objects whose name begins with `below`.
    pub async fn list(
        &self,
        below: &str,
        after: Option<&str>,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        let mut all = Vec::new();
        let mut page = self.list_request(below, after, false).await?;
        loop {
            let last = page.last_name().map(str::to_owned);
            all.append(&mut page.objects);
            let (true, Some(last)) = (page.more, last) else {
                return Ok(all);
            };
            page = self.list_request(below, Some(&last), false).await?;
        }
    }

    /// The folders directly in the folder `below`, which ends with a slash; so do they.
    pub async fn list_folders(&self, below: &str) -> Result<Vec<String>, StoreError> {
        let mut all: Vec<String> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.list_request(below, after.as_deref(), true).await?;
            // Behind a folder's name come the objects in it: `0` is the first byte behind a slash.
            after = page.last_name().map(|name| match name.strip_suffix('/') {
                Some(folder) => format!("{folder}0"),
                None => name.to_owned(),
            });
            all.extend(page.folders);
            if !page.more || after.is_none() {
                return Ok(all);
            }
        }
    }

    async fn list_request(
        &self,
        below: &str,
        after: Option<&str>,
        one_level: bool,
    ) -> Result<Listed, StoreError> {
        let mut retry = Retry::new("listing", below);
        let answer = loop {
            let sent = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(self.key(below))
                .set_start_after(after.map(|after| self.key(after)))
                .set_delimiter(one_level.then(|| "/".to_owned()))
                .max_keys(PAGE_MAX);
            match retry.attempt(Box::pin(sent.send())).await {
                Ok(answer) => break answer,
                Err(fault) => retry.again(fault).await?,
            }
        };
        let own = |key: Option<&str>| {
            key.and_then(|key| key.strip_prefix(&self.prefix))
                .map(str::to_owned)
        };
        let objects = answer.contents().iter().filter_map(|object| {
            Some(ObjectInfo {
                name: own(object.key())?,
                bytes: u64::try_from(object.size().unwrap_or_default()).unwrap_or_default(),
                modified: object
                    .last_modified()
                    .and_then(|at| OffsetDateTime::from_unix_timestamp(at.secs()).ok()),
            })
        });
        let folders = answer.common_prefixes().iter();
        Ok(Listed {
            objects: objects.collect(),
            folders: folders.filter_map(|folder| own(folder.prefix())).collect(),
            more: answer.is_truncated().unwrap_or_default(),
        })
    }
}
