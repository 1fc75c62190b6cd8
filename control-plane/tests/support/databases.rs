//! Databases of a test: a loop that runs them without processes, and the usual calls.

use super::{Answer, FakeRuntime, Person, TestCloud};
use lumadb_contract::archive::{
    ArchiveStatus, BackupKind, BackupState, BackupStatus, Lsn, RestoreWindow,
};
use lumadb_contract::id::{BackupId, DatabaseId};
use lumadb_control_plane::workflow::{Workflow, in_place};
use serde_json::{Value, json};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How much of the test's time passes in each of these moments of ours.
const MOMENT: Duration = Duration::from_millis(5);
const PASSING: time::Duration = time::Duration::milliseconds(50);
/// Longest wait of ours for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// A loop that runs until it is dropped: then it is killed, not asked to stop.
pub(crate) struct Loop([JoinHandle<()>; 2]);

impl Drop for Loop {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// A backup as its node tells of it.
pub(crate) fn backup_status(
    backup_id: BackupId,
    state: BackupState,
    at: OffsetDateTime,
    lsn: Lsn,
) -> BackupStatus {
    let has_ended = state != BackupState::Running;
    BackupStatus {
        backup_id,
        kind: BackupKind::Full,
        state,
        started_at: at,
        ended_at: has_ended.then_some(at),
        timeline: 1,
        start_lsn: lsn,
        end_lsn: has_ended.then_some(lsn),
        bytes_read: 40_000_000,
        bytes_expected: 40_000_000,
        bytes_stored: 5_000_000,
        parent: None,
        error: None,
    }
}

impl TestCloud {
    pub(crate) fn start_loop(&self, runtime: &Arc<FakeRuntime>) -> Loop {
        let workflow = Workflow::new(self.platform.clone(), Arc::clone(runtime), "local");
        let exchanging = in_place::run(self.platform.clone(), "local".into(), pending());
        Loop([
            tokio::spawn(workflow.run(CancellationToken::new())),
            tokio::spawn(exchanging),
        ])
    }

    /// Puts an organization on another plan.
    pub(crate) async fn set_plan(&self, person: &Person, plan: &str) {
        sqlx::query("update organizations set plan_id = $2 where id = $1")
            .bind(person.organization.uuid())
            .bind(plan)
            .execute(&self.admin)
            .await
            .expect("updated");
    }

    pub(crate) async fn create(&self, person: &Person, body: &Value) -> Answer {
        self.post(&format!("/v1/projects/{}/databases", person.project))
            .cookie(&person.cookie)
            .json(body)
            .send()
            .await
    }

    /// A database that is being created; its ID and the operation's.
    pub(crate) async fn created(&self, person: &Person, name: &str) -> (DatabaseId, String) {
        let made = self.create(person, &json!({ "name": name })).await;
        made.expect(201);
        let id = made.text("/database/id").parse().expect("an ID");
        (id, made.text("/operation/id"))
    }

    /// A database that runs.
    pub(crate) async fn running(&self, person: &Person, name: &str) -> DatabaseId {
        let (id, operation) = self.created(person, name).await;
        let ended = self.ended(person, &operation).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        id
    }

    /// The operation, once it has ended; time passes on the way.
    pub(crate) async fn ended(&self, person: &Person, operation: &str) -> Value {
        let path = format!("/v1/operations/{operation}");
        let ended = self.until(|| async {
            let answer = self.get(&path).cookie(&person.cookie).send().await;
            answer.expect(200);
            (!answer.body["ended_at"].is_null()).then_some(answer.body)
        });
        ended.await
    }

    /// What `look` finds at last; time passes on the way.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        mut look: impl FnMut() -> F,
    ) -> T {
        let found = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                self.clock.advance(PASSING);
                tokio::time::sleep(MOMENT).await;
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("it comes to that")
    }

    pub(crate) async fn database(&self, person: &Person, id: DatabaseId) -> Value {
        let path = format!("/v1/databases/{id}");
        let answer = self.get(&path).cookie(&person.cookie).send().await;
        answer.expect(200);
        answer.body
    }

    /// Waits until the database is in this state.
    pub(crate) async fn in_state(&self, person: &Person, id: DatabaseId, state: &str) {
        self.until(|| async {
            let database = self.database(person, id).await;
            (database["state"] == state).then_some(())
        })
        .await;
    }

    /// Has the node of a database say that one backup is complete and that everything since is
    /// archived, from an hour ago until now.
    pub(crate) async fn archived(
        &self,
        person: &Person,
        runtime: &Arc<FakeRuntime>,
        id: DatabaseId,
    ) -> BackupId {
        let spec = self
            .until(|| async { runtime.instance(id)?.spec.archive })
            .await;
        let now = self.clock.now();
        let (from, lsn) = (now - time::Duration::hours(1), Lsn(0x0200_0000));
        let backup = BackupId::from_uuid(self.clock.new_uuid());
        runtime.report(id, |status| {
            status.archive = Some(ArchiveStatus {
                archive_id: Some(spec.access.archive_id),
                archived_lsn: Lsn(0x0300_0000),
                flushed_lsn: Lsn(0x0300_0000),
                archived_until: Some(now),
                windows: vec![RestoreWindow {
                    from,
                    until: None,
                    from_lsn: lsn,
                    timeline: 1,
                }],
                backups: vec![backup_status(backup, BackupState::Complete, from, lsn)],
                ..ArchiveStatus::default()
            });
        });
        let path = format!("/v1/databases/{id}/restore-window");
        self.until(|| async {
            let window = self.get(&path).cookie(&person.cookie).send().await;
            window.body["earliest"].is_string().then_some(())
        })
        .await;
        backup
    }

    /// A POST without a body.
    pub(crate) async fn act(&self, person: &Person, path: &str) -> Answer {
        self.post(path).cookie(&person.cookie).send().await
    }
}
