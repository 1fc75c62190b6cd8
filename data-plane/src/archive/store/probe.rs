//! Some stores that speak S3's protocol ignore `If-None-Match` without a word: two writers would
//! both believe that a key is theirs. Such a store is refused before anything relies on it.

use super::{ObjectStore, Put, StoreError};
use crate::archive::layout::Layout;
use bytes::Bytes;

impl ObjectStore {
    /// Writes a key twice; an error if the store takes both, or does not give back the first.
    pub async fn probe(&self, layout: &Layout) -> Result<(), StoreError> {
        let name = layout.probe(rand::random());
        let first = Bytes::from_static(b"first");
        let created = self.put_new(&name, first.clone()).await?;
        let again = self.put_new(&name, Bytes::from_static(b"second")).await?;
        let kept = self.get(&name).await?;
        self.delete(vec![name]).await?;
        let honest = created == Put::Created && again == Put::AlreadyThere && kept == Some(first);
        honest.then_some(()).ok_or(StoreError::NotExclusive)
    }
}
