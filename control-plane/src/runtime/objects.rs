//! What lies in the object store: the boundary between archives as rows and archives as objects.

use lumadb_contract::archive::ArchiveAccess;
use std::future::Future;

/// Reaches the objects of archives that no node reaches any more.
pub trait ArchiveObjects: Send + Sync + 'static {
    /// Deletes everything below an archive's prefix. Answers once nothing is left of it; an archive
    /// that has no object is removed already. May be cut off at any point and done again.
    fn remove(
        &self,
        access: &ArchiveAccess,
    ) -> impl Future<Output = Result<u64, ObjectsError>> + Send;
}

/// Why the object store did not do what it was asked; it is tried again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ObjectsError(pub String);
