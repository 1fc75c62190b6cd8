//! Archives: what nodes are told of theirs, the schedule of backups, and what is kept of the answers.

use crate::support::{FakeRuntime, TestCloud, backup_status};
use lumadb_contract::archive::{
    ArchiveSpec, ArchiveStatus, BackupState, Durability, Lsn, RestorePointStatus,
};
use lumadb_contract::id::{BackupId, DatabaseId};
use lumadb_contract::key_chain::{Key, KeyChain};
use lumadb_contract::secret::Secret;
use lumadb_control_plane::app::archive::rewrap;
use lumadb_control_plane::identity::master_keys::{
    KeyService, KeyServiceError, MasterKeys, SealedKey,
};
use lumadb_control_plane::identity::{SealKey, SealPurpose};
use lumadb_control_plane::store::setup::Setup;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

async fn told(cloud: &TestCloud, runtime: &Arc<FakeRuntime>, id: DatabaseId) -> ArchiveSpec {
    let spec = || async { runtime.instance(id)?.spec.archive };
    cloud.until(spec).await
}

/// The node's archive as the runtime was told of it, once `is_so`.
async fn told_that(
    cloud: &TestCloud,
    runtime: &Arc<FakeRuntime>,
    id: DatabaseId,
    is_so: impl Fn(&ArchiveSpec) -> bool,
) -> ArchiveSpec {
    let spec = || async {
        runtime
            .instance(id)?
            .spec
            .archive
            .filter(|spec| is_so(spec))
    };
    cloud.until(spec).await
}

fn report(runtime: &Arc<FakeRuntime>, id: DatabaseId, say: impl FnOnce(&mut ArchiveStatus)) {
    runtime.report(id, |status| {
        say(status.archive.get_or_insert_with(ArchiveStatus::default));
    });
}

/// Ends the backup that the node was asked for.
fn end_backup(
    runtime: &Arc<FakeRuntime>,
    id: DatabaseId,
    spec: &ArchiveSpec,
    state: BackupState,
    at: OffsetDateTime,
) -> BackupId {
    let backup = spec.backups[0].backup_id;
    report(runtime, id, |archive| {
        archive.archive_id = Some(spec.access.archive_id);
        archive
            .backups
            .push(backup_status(backup, state, at, Lsn(0x0200_0000)));
    });
    backup
}

#[tokio::test]
async fn a_node_gets_the_keys_of_its_archive_and_no_other() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let first = cloud.running(&ada, "first").await;
    let second = cloud.running(&ada, "second").await;
    let (first, second) = (
        told(&cloud, &runtime, first).await,
        told(&cloud, &runtime, second).await,
    );
    assert_ne!(first.access.archive_id, second.access.archive_id);
    assert_ne!(first.access.key, second.access.key);
    let credentials = |spec: &ArchiveSpec| spec.access.store.credentials.clone().expect("given");
    let scoped = credentials(&first);
    assert_eq!(
        scoped.access_key_id,
        format!("{}.rw", first.access.archive_id)
    );
    assert_ne!(
        scoped.secret_access_key,
        credentials(&second).secret_access_key
    );
    // What lies in the archive and the master key are enough.
    let chain: KeyChain = serde_json::from_value(first.wrapped_key.clone()).expect("a chain");
    let opened = chain.open(&Key::new([7; 32]), first.access.archive_id);
    let key = Key::from_base64(first.access.key.expose()).expect("a key");
    assert_eq!(opened, Ok(key));
    assert_eq!(chain.organization_id, ada.organization);
    let printed = format!("{first:?}");
    assert!(!printed.contains(first.access.key.expose()), "{printed}");
    assert!(!printed.contains(scoped.secret_access_key.expose()));
    // Nothing in the tables opens anything.
    for table in ["archives", "organization_keys"] {
        let sql = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
        let all: String = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&cloud.admin)
            .await
            .expect("read");
        assert!(!all.is_empty() && !all.contains(first.access.key.expose()));
    }
    let keys: i64 = sqlx::query_scalar("select count(*) from organization_keys")
        .fetch_one(&cloud.admin)
        .await
        .expect("counted");
    assert_eq!(keys, 1, "an organization has one key");
}

#[tokio::test]
async fn the_plan_says_how_soon_and_how_long() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "first").await;
    let free = told(&cloud, &runtime, id).await;
    assert_eq!(free.durability, Durability::Lag { lag_ms: 10_000 });
    let back = |spec: &ArchiveSpec| cloud.clock.now() - spec.expire_before.expect("a bound");
    let day = Duration::days(1);
    assert!(back(&free) >= day && back(&free) < day + Duration::hours(2));
    cloud.set_plan(&ada, "pro-growth").await;
    cloud.clock.advance(Duration::minutes(5));
    let paid = told_that(&cloud, &runtime, id, |spec| {
        spec.durability == Durability::Lag { lag_ms: 1000 }
    });
    let back = back(&paid.await);
    assert!(
        back >= Duration::days(14) && back < Duration::days(15),
        "{back}"
    );
}

#[tokio::test]
async fn commits_wait_for_the_archive_where_the_owner_wants_it_and_the_plan_has_it() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let running = cloud.start_loop(&runtime);
    let wanted = json!({ "name": "first", "durability": "s3" });
    let refused = cloud.create(&ada, &wanted).await;
    refused.expect_problem(409, "quota_exceeded");
    cloud.set_plan(&ada, "pro-scale").await;
    let made = cloud.create(&ada, &wanted).await;
    made.expect(201);
    assert_eq!(made.text("/database/durability"), "s3");
    let id: DatabaseId = made.text("/database/id").parse().expect("an id");
    told_that(&cloud, &runtime, id, |spec| {
        spec.durability == Durability::S3
    })
    .await;

    let path = format!("/v1/databases/{id}");
    let change = |body: serde_json::Value| {
        let call = cloud.patch(&path).cookie(&ada.cookie);
        call.json(&body).send()
    };
    let changed = change(json!({ "durability": "local" })).await;
    changed.expect(200);
    assert_eq!(changed.text("/operation/kind"), "database_update");
    told_that(&cloud, &runtime, id, |spec| {
        spec.durability == Durability::Lag { lag_ms: 1000 }
    })
    .await;
    let both = change(json!({ "durability": "s3", "milli_vcpu": 2000 })).await;
    both.expect_problem(400, "invalid_request");
    assert_eq!(both.text("/errors/0/field"), "durability");

    drop(running);
    let again = change(json!({ "durability": "s3" })).await;
    again.expect(200);
    let cancel = format!("/v1/operations/{}/cancel", again.text("/operation/id"));
    cloud.act(&ada, &cancel).await.expect(200);
    assert_eq!(cloud.database(&ada, id).await["durability"], "local");
}

#[tokio::test]
async fn a_database_is_backed_up_soon_and_then_every_day() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.set_plan(&ada, "pro-starter").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "first").await;
    let asked = |spec: &ArchiveSpec| spec.backups.len() == 1;
    let spec = told_that(&cloud, &runtime, id, asked).await;
    let first = end_backup(
        &runtime,
        id,
        &spec,
        BackupState::Complete,
        cloud.clock.now(),
    );
    told_that(&cloud, &runtime, id, |spec| spec.backups.is_empty()).await;
    cloud.clock.advance(Duration::hours(25));
    let spec = told_that(&cloud, &runtime, id, asked).await;
    assert_ne!(spec.backups[0].backup_id, first);
    // One that fails is tried again before the next day.
    let second = end_backup(&runtime, id, &spec, BackupState::Failed, cloud.clock.now());
    told_that(&cloud, &runtime, id, |spec| spec.backups.is_empty()).await;
    cloud.clock.advance(Duration::minutes(12));
    let spec = told_that(&cloud, &runtime, id, asked).await;
    assert!(![first, second].contains(&spec.backups[0].backup_id));
    let path = format!("/v1/databases/{id}/backups");
    let list = cloud.get(&path).cookie(&ada.cookie).send().await;
    let states: Vec<_> = list.body["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|backup| (backup["state"].clone(), backup["origin"].clone()))
        .collect();
    let scheduled = |state: &str| (json!(state), json!("scheduled"));
    assert_eq!(
        states,
        [
            scheduled("pending"),
            scheduled("failed"),
            scheduled("complete")
        ]
    );
}

#[tokio::test]
async fn a_hole_in_the_archive_is_followed_by_a_backup_at_once() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.set_plan(&ada, "pro-starter").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "first").await;
    let spec = told_that(&cloud, &runtime, id, |spec| spec.backups.len() == 1).await;
    end_backup(
        &runtime,
        id,
        &spec,
        BackupState::Complete,
        cloud.clock.now(),
    );
    told_that(&cloud, &runtime, id, |spec| spec.backups.is_empty()).await;
    cloud.archived(&ada, &runtime, id).await;
    let now = cloud.clock.now();
    report(&runtime, id, |archive| {
        archive.windows[0].until = Some(now);
    });
    told_that(&cloud, &runtime, id, |spec| spec.backups.len() == 1).await;
}

#[tokio::test]
async fn a_backup_that_was_asked_for_is_followed_to_its_end() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "first").await;
    let path = format!("/v1/databases/{id}/backups");
    let ask = async |key: &str| {
        let call = cloud.post(&path).cookie(&ada.cookie);
        let call = call.header("idempotency-key", key);
        call.json(&json!({ "name": "before the migration" }))
            .send()
            .await
    };
    let made = ask("once").await;
    made.expect(201);
    assert_eq!(made.body["state"], "pending");
    assert_eq!(made.body["origin"], "manual");
    let backup = made.text("/id");
    assert_eq!(ask("once").await.text("/id"), backup);
    let spec = told_that(&cloud, &runtime, id, |spec| {
        spec.backups
            .iter()
            .any(|asked| asked.backup_id.to_string() == backup)
    })
    .await;
    let at = cloud.clock.now();
    let ours: BackupId = backup.parse().expect("an ID");
    report(&runtime, id, |archive| {
        archive.archive_id = Some(spec.access.archive_id);
        let mut running = backup_status(ours, BackupState::Running, at, Lsn(7));
        running.bytes_read = 10_000_000;
        archive.backups = vec![running];
    });
    let one = format!("/v1/backups/{backup}");
    let seen = async |state: &str| -> Value {
        let found = cloud.until(|| async {
            let answer = cloud.get(&one).cookie(&ada.cookie).send().await;
            answer.expect(200);
            (answer.body["state"] == state).then_some(answer.body)
        });
        found.await
    };
    let running = seen("running").await;
    assert_eq!(running["bytes_read"], 10_000_000);
    assert!(running["ended_at"].is_null());
    report(&runtime, id, |archive| {
        archive.backups = vec![backup_status(ours, BackupState::Complete, at, Lsn(7))];
    });
    let complete = seen("complete").await;
    assert_eq!(complete["bytes_stored"], 5_000_000);
    assert_eq!(complete["name"], "before the migration");
    told_that(&cloud, &runtime, id, |spec| {
        !spec.backups.iter().any(|asked| asked.backup_id == ours)
    })
    .await;
}

#[tokio::test]
async fn a_sleeping_database_wakes_for_a_backup_and_stays_awake_for_it() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "nap").await;
    cloud.archived(&ada, &runtime, id).await;
    let spec = told_that(&cloud, &runtime, id, |spec| spec.backups.len() == 1).await;
    end_backup(
        &runtime,
        id,
        &spec,
        BackupState::Complete,
        cloud.clock.now(),
    );
    told_that(&cloud, &runtime, id, |spec| spec.backups.is_empty()).await;
    runtime.set_idle(id, Some(cloud.clock.now()));
    cloud.clock.advance(Duration::minutes(6));
    cloud.in_state(&ada, id, "asleep").await;
    // Nothing was written since: the present moment can be restored to.
    let window = format!("/v1/databases/{id}/restore-window");
    let window = cloud.get(&window).cookie(&ada.cookie).send().await;
    assert_eq!(window.body["lag_ms"], 0, "{}", window.raw);
    let path = format!("/v1/databases/{id}/backups");
    let call = cloud.post(&path).cookie(&ada.cookie).json(&json!({}));
    call.send().await.expect(201);
    cloud.in_state(&ada, id, "running").await;
    cloud.clock.advance(Duration::minutes(30));
    let spec = told_that(&cloud, &runtime, id, |spec| spec.backups.len() == 1).await;
    assert_eq!(cloud.database(&ada, id).await["state"], "running");
    report(&runtime, id, |archive| {
        archive.archive_id = Some(spec.access.archive_id);
    });
    end_backup(
        &runtime,
        id,
        &spec,
        BackupState::Complete,
        cloud.clock.now(),
    );
    cloud.clock.advance(Duration::minutes(6));
    cloud.in_state(&ada, id, "asleep").await;
}

#[tokio::test]
async fn a_suspended_database_is_neither_backed_up_nor_marked() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "first").await;
    let path = format!("/v1/databases/{id}/suspend");
    cloud.act(&ada, &path).await.expect(200);
    cloud.in_state(&ada, id, "suspended").await;
    for what in ["backups", "restore-points"] {
        let path = format!("/v1/databases/{id}/{what}");
        let call = cloud.post(&path).cookie(&ada.cookie);
        let answer = call.json(&json!({ "name": "x" })).send().await;
        answer.expect_problem(409, "conflict");
    }
}

#[tokio::test]
async fn restore_points_are_named_once_and_told_when_they_are_made() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "first").await;
    let path = format!("/v1/databases/{id}/restore-points");
    let name = async |name: &str| {
        let call = cloud.post(&path).cookie(&ada.cookie);
        call.json(&json!({ "name": name })).send().await
    };
    let made = name(" release 7 ").await;
    made.expect(201);
    assert_eq!(made.body["name"], "release 7");
    name("release 7").await.expect_problem(409, "conflict");
    name(&"é".repeat(32))
        .await
        .expect_problem(400, "invalid_request");
    let spec = told_that(&cloud, &runtime, id, |spec| !spec.restore_points.is_empty()).await;
    assert_eq!(spec.restore_points[0].name, "release 7");
    let made_at = cloud.clock.now();
    report(&runtime, id, |archive| {
        archive.archive_id = Some(spec.access.archive_id);
        archive.restore_points = vec![RestorePointStatus {
            restore_point_id: spec.restore_points[0].restore_point_id,
            lsn: Lsn(0x16_B374_D848),
            made_at,
        }];
    });
    told_that(&cloud, &runtime, id, |spec| spec.restore_points.is_empty()).await;
    let list = cloud.get(&path).cookie(&ada.cookie).send().await;
    assert_eq!(list.body["items"][0]["lsn"], "16/B374D848");
    assert!(list.body["items"][0]["made_at"].is_string());
    // Outside of the window nobody can come back to it: its name is free again.
    cloud.clock.advance(Duration::hours(26));
    report(&runtime, id, |archive| archive.puts += 1);
    cloud
        .until(|| async {
            let list = cloud.get(&path).cookie(&ada.cookie).send().await;
            list.body["items"].as_array()?.is_empty().then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_database_older_than_archives_gets_one_and_without_archives_all_goes_on() {
    let cloud = TestCloud::without_archives().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.set_plan(&ada, "enterprise").await;
    let runtime = FakeRuntime::new();
    let running = cloud.start_loop(&runtime);
    let id = cloud.running(&ada, "old").await;
    assert!(runtime.instance(id).expect("there").spec.archive.is_none());
    let path = format!("/v1/databases/{id}");
    let resized = cloud.patch(&path).cookie(&ada.cookie);
    let resized = resized.json(&json!({ "milli_vcpu": 2000 })).send().await;
    let ended = cloud.ended(&ada, &resized.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    let suspended = cloud.act(&ada, &format!("{path}/suspend")).await;
    let ended = cloud.ended(&ada, &suspended.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    let window = cloud.get(&format!("{path}/restore-window"));
    let window = window.cookie(&ada.cookie).send().await;
    window.expect_problem(409, "conflict");
    drop(running);

    let cloud = cloud.with_archives_from_now_on();
    let resumed = cloud.act(&ada, &format!("{path}/resume")).await;
    let _loop = cloud.start_loop(&runtime);
    let ended = cloud.ended(&ada, &resumed.text("/operation/id")).await;
    assert_eq!(ended["state"], "succeeded");
    told(&cloud, &runtime, id).await;
}

/// Keys lie in their files as they are.
#[derive(Debug)]
struct NoService;

impl KeyService for NoService {
    fn seal(&self, _: &Key) -> Result<Option<SealedKey>, KeyServiceError> {
        Ok(None)
    }

    fn open(&self, _: &SealedKey) -> Result<Key, KeyServiceError> {
        Err(KeyServiceError("there is none".to_owned()))
    }
}

/// A folder of keys with an active one and others.
fn folder_of_keys(cloud: &TestCloud, active: &Key, others: &[&Key]) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("lumadb-keys-{}", cloud.clock.new_uuid()));
    std::fs::create_dir_all(MasterKeys::kept_folder(&folder)).expect("made");
    let write = |path: std::path::PathBuf, key: &Key| {
        std::fs::write(path, key.to_base64().expose()).expect("written");
    };
    write(MasterKeys::active_path(&folder), active);
    for key in others {
        write(MasterKeys::kept_path(&folder, &key.fingerprint()), key);
    }
    folder
}

#[tokio::test]
async fn keys_are_wrapped_by_another_master_key_and_one_that_is_needed_stays() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.created(&ada, "first").await;
    let (old, new) = (Key::new([7; 32]), Key::new([8; 32]));
    let mut setup = Setup::open(&cloud.admin.connect_options())
        .await
        .expect("opens");
    let now = cloud.clock.now();
    let before = folder_of_keys(&cloud, &old, &[]);
    let keys = MasterKeys::open(before.clone(), Arc::new(NoService)).expect("opens");
    rewrap::keys_ensure(&mut setup, &keys, now)
        .await
        .expect("a key to seal with");
    let (purpose, row) = (SealPurpose::RolePassword, uuid::Uuid::nil());
    let sealed = SealKey::from_bytes(&[7; 32]).expect("a key");
    let sealed = sealed
        .seal(purpose, row, &Secret::new("x"))
        .expect("sealed");
    let generation = "select generation from databases where name = 'first'";
    let generation_before: i64 = sqlx::query_scalar(generation)
        .fetch_one(&cloud.admin)
        .await
        .expect("read");

    let after = folder_of_keys(&cloud, &new, &[&old]);
    let keys = MasterKeys::open(after.clone(), Arc::new(NoService)).expect("opens");
    let needed = setup.master_key_forget(&old.fingerprint()).await;
    assert!(needed.is_err(), "it wraps something");
    let stale = setup.organization_keys_other(&new.fingerprint(), 10).await;
    let (organization, stale) = stale.expect("read").remove(0);
    let count = rewrap::rewrap(&mut setup, &keys, now).await.expect("done");
    assert_eq!(count, 1);
    let count = rewrap::rewrap(&mut setup, &keys, now).await.expect("done");
    assert_eq!(count, 0, "a second time there is nothing to do");
    // Somebody who read before and writes after changes nothing.
    setup
        .organization_key_replace(organization, &stale, &stale, now)
        .await
        .expect("asked");
    let generation_after: i64 = sqlx::query_scalar(generation)
        .fetch_one(&cloud.admin)
        .await
        .expect("read");
    assert_eq!(generation_after, generation_before + 1, "its node is told");
    let wrapped = setup.master_keys().await.expect("read");
    let of = |key: &Key| {
        let found = wrapped
            .iter()
            .find(|it| it.fingerprint == key.fingerprint());
        found.map(|it| (it.organizations, it.has_seal_key))
    };
    assert_eq!(of(&old), Some((0, false)));
    assert_eq!(of(&new), Some((1, true)));

    setup
        .master_key_forget(&old.fingerprint())
        .await
        .expect("nothing needs it");
    let late = sqlx::query("update organization_keys set master_key = $1")
        .bind(old.fingerprint())
        .execute(&cloud.admin)
        .await;
    assert!(late.is_err(), "nothing is wrapped by a key that went");
    // With the new one alone, what was sealed before opens.
    let alone = folder_of_keys(&cloud, &new, &[]);
    let keys = MasterKeys::open(alone.clone(), Arc::new(NoService)).expect("opens");
    let seal_key = rewrap::seal_key(&cloud.platform.store, &keys)
        .await
        .expect("opens");
    let opened = seal_key.open(purpose, row, &sealed).expect("opens");
    assert_eq!(opened, Secret::new("x"));
    for folder in [before, after, alone] {
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
