//! Checks what a drill restored, once the engine runs.

use super::spec::KnownSpec;
use super::status::StatusBoard;
use crate::engine::{InstanceDir, verify};
use crate::errors::chain;
use lumadb_contract::archive::{RestorePhase, RestoreStatus, Verification};
use lumadb_contract::instance::InstancePhase;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Tries, at most: an engine that is asked too early does not answer.
const TRIES_MAX: u32 = 3;

/// Between two tries, seconds.
const PAUSE_SECONDS: u64 = 5;

/// Works for as long as it is polled; there is nothing to do where no spec asks for it.
pub(super) async fn verify_follow(
    instance: &InstanceDir,
    mut specs: watch::Receiver<Option<KnownSpec>>,
    board: &StatusBoard,
) {
    let asks = |known: &Option<KnownSpec>| {
        let restore = known.as_ref().and_then(|known| known.spec.restore.as_ref());
        restore.is_some_and(|restore| restore.verify)
    };
    let mut status = board.subscribe();
    let asked = specs.wait_for(asks).await.is_ok();
    let ready = status.wait_for(|status| status.phase == InstancePhase::Ready);
    if asked && ready.await.is_ok() {
        let say = |found: &Verification| {
            board.update(|status| {
                let restore = status.restore.get_or_insert_with(done);
                restore.verification = Some(found.clone());
            });
        };
        let mut tries = 1;
        while let Err(error) = verify(instance, say).await {
            let error = chain(&error);
            tracing::error!(error, tries, "what was restored is not checked");
            if tries == TRIES_MAX {
                say(&Verification {
                    has_ended: true,
                    error: Some(error),
                    ..Verification::default()
                });
                break;
            }
            tries += 1;
            sleep(Duration::from_secs(PAUSE_SECONDS)).await;
        }
    }
    std::future::pending::<()>().await;
}

/// Of a restore that an earlier incarnation carried out.
fn done() -> RestoreStatus {
    RestoreStatus {
        phase: RestorePhase::Done,
        ..RestoreStatus::default()
    }
}
