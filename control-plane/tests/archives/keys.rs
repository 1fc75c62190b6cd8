//! The keys of archives: which a node gets, and what wraps them.

use super::told_that;
use crate::support::{FakeRuntime, TestCloud};
use lumadb_contract::archive::ArchiveSpec;
use lumadb_contract::key_chain::{Key, KeyChain};
use lumadb_contract::secret::Secret;
use lumadb_control_plane::app::archive::rewrap;
use lumadb_control_plane::identity::master_keys::{
    KeyService, KeyServiceError, MasterKeys, SealedKey,
};
use lumadb_control_plane::identity::{SealKey, SealPurpose};
use lumadb_control_plane::store::setup::Setup;
use sqlx::AssertSqlSafe;
use std::sync::Arc;

#[tokio::test]
async fn a_node_gets_the_keys_of_its_archive_and_no_other() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let runtime = FakeRuntime::new();
    let _loop = cloud.start_loop(&runtime);
    let first = cloud.running(&ada, "first").await;
    let second = cloud.running(&ada, "second").await;
    let (first, second) = (
        told_that(&cloud, &runtime, first, |_| true).await,
        told_that(&cloud, &runtime, second, |_| true).await,
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
