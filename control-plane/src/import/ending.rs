//! How imports end: what they leave behind is removed, on both sides.

use super::follow::aside::Standing;
use super::follow::{self, Follower, origin};
use super::programs::Room;
use super::progress::Progress;
use super::runner::{Importer, LEASE, RENEW_INTERVAL};
use super::{Failure, clean};
use crate::app::state::ImportState;
use crate::store::StoreError;
use crate::store::import::{self, Claim, ClaimedImport};

impl Importer {
    /// Ends an import without success, with the target as empty as before and nothing at the source.
    /// One that turns out to have switched over has succeeded: what is there is the customer's.
    pub(super) async fn clean_and_end(
        &self,
        claimed: &ClaimedImport,
        room: &Room,
        is_dirty: bool,
        state: ImportState,
        why: &str,
    ) -> Result<bool, StoreError> {
        if !is_dirty {
            return self.end(claimed, state, Some(why)).await;
        }
        let mut standing = Ok(Standing::None);
        if claimed.continuous {
            standing = follow::standing_now(room.folder()).await;
            if let Ok(Standing::SwitchedOver) = standing {
                return self.end_switched_over(claimed, room).await;
            }
        }
        if !self.keep_cleaning(claimed, why).await? {
            return Ok(false);
        }
        let keeping = async {
            loop {
                tokio::time::sleep(RENEW_INTERVAL).await;
                if let Ok(false) = self.keep_cleaning(claimed, why).await {
                    return;
                }
            }
        };
        let cleaning = async {
            let left_there = self.leave(claimed, room).await;
            // What cannot be asked whether it is the customer's is not emptied.
            let emptied = match standing {
                Ok(_) => clean::empty(room.folder()).await,
                Err(failure) => Err(failure),
            };
            (left_there, emptied)
        };
        let (left_there, emptied) = tokio::select! {
            cleaned = cleaning => cleaned,
            () = keeping => return Ok(false),
        };
        let mut why = why.to_owned();
        if let Err(left) = left_there {
            why = format!("{why} {left}");
        }
        if let Err(left) = emptied {
            why = format!(
                "{why} What had been copied is still in the logical database {}: {left}",
                claimed.logical_database
            );
        }
        self.end(claimed, state, Some(&why)).await
    }

    /// Ends the import into a database that is being deleted.
    pub(super) async fn end_orphaned(
        &self,
        claimed: &ClaimedImport,
        room: &Room,
        is_dirty: bool,
    ) -> Result<bool, StoreError> {
        let mut why = "The database was deleted.".to_owned();
        if is_dirty {
            let progress = Progress::of(claimed);
            tokio::select! {
                left = self.leave(claimed, room) => if let Err(left) = left {
                    why = format!("{why} {left}");
                },
                () = self.keep(claimed, &progress) => return Ok(false),
            }
        }
        self.end(claimed, ImportState::Failed, Some(&why)).await
    }

    async fn end_switched_over(
        &self,
        claimed: &ClaimedImport,
        room: &Room,
    ) -> Result<bool, StoreError> {
        let progress = Progress::of(claimed);
        progress.validating();
        // Written down first: once all is settled nothing else tells that it had switched over.
        if self.renew(claimed, &progress).await? == Claim::Lost {
            return Ok(false);
        }
        let settling = async {
            let (door, _relay) = match self.source(claimed, room).await {
                Ok(way) => way,
                Err(failure) => return Some(origin::left_behind(claimed.id, &failure)),
            };
            let follower = Follower {
                id: claimed.id,
                room,
                door: &door,
                progress: &progress,
            };
            follower.settle().await
        };
        let note = tokio::select! {
            note = settling => note,
            () = self.keep(claimed, &progress) => return Ok(false),
        };
        self.end(claimed, ImportState::Succeeded, note.as_deref())
            .await
    }

    /// Removes what an import that follows made at its source.
    async fn leave(&self, claimed: &ClaimedImport, room: &Room) -> Result<(), Failure> {
        if !claimed.continuous {
            return Ok(());
        }
        match self.source(claimed, room).await {
            Ok((_, _relay)) => origin::leave(room.folder(), claimed.id).await,
            Err(failure) => Err(Failure::new(origin::left_behind(claimed.id, &failure))),
        }
    }

    /// Keeps the claim; comes back when it is lost.
    async fn keep(&self, claimed: &ClaimedImport, progress: &Progress) {
        loop {
            tokio::time::sleep(RENEW_INTERVAL).await;
            if let Ok(Claim::Lost) = self.renew(claimed, progress).await {
                return;
            }
        }
    }

    async fn keep_cleaning(&self, claimed: &ClaimedImport, why: &str) -> Result<bool, StoreError> {
        let until = self.platform.clock.now() + LEASE;
        let mut tx = self.platform.store.region().await?;
        let held = import::give_up(&mut tx, claimed.id, self.worker, why, until).await?;
        tx.commit().await?;
        Ok(held)
    }

    pub(super) async fn end(
        &self,
        claimed: &ClaimedImport,
        state: ImportState,
        error: Option<&str>,
    ) -> Result<bool, StoreError> {
        let now = self.platform.clock.now();
        let mut tx = self.platform.store.region().await?;
        let ended = import::end(&mut tx, claimed.id, self.worker, state, error, now).await?;
        tx.commit().await?;
        Ok(ended)
    }
}
