//! Instances whose first content is a restored one.

use crate::bucket::{ADMIN, Archive, Writing, insert, run, text};
use crate::parent::Heard;
use crate::world::{World, spec};
use lumadb_contract::archive::{BackupKind, RestorePhase, RestoreTarget};

/// An archive of a database with the rows 1 to 3.
async fn archived() -> Archive {
    let mut archive = Archive::new().await;
    let world = World::running(&spec(1)).await;
    let socket = world.instance().join("run/.s.PGSQL.5432");
    let client = world.direct(ADMIN, "main").await;
    let writing = Writing::start(&archive, &socket).await;
    run(&client, "create table t (n int primary key)").await;
    run(&client, "alter table t owner to owner").await;
    insert(&client, 1).await;
    archive.backup(&socket, BackupKind::Full, &writing).await;
    insert(&client, 2).await;
    archive
        .backup(&socket, BackupKind::Incremental, &writing)
        .await;
    insert(&client, 3).await;
    writing.end(&client).await;
    archive
}

async fn rows_by_owner(world: &World) -> String {
    let client = world.client_soon().await;
    let sql = "select string_agg(n::text, ' ' order by n) from t";
    text(&client, sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_begins_with_what_its_spec_restores() {
    let archive = archived().await;
    let mut world = World::empty();
    let mut wanted = spec(1);
    wanted.restore = Some(archive.restore_spec(RestoreTarget::Latest));
    world.parent().say(&wanted);
    world.helper_start();
    world.node_start();
    world.in_force(&wanted).await;
    assert_eq!(rows_by_owner(&world).await, "1 2 3");
    let heard = world.parent().heard().borrow().clone();
    let restore = heard.status.and_then(|status| status.restore);
    let restore = restore.expect("is told");
    assert_eq!(restore.phase, RestorePhase::Done);
    assert!(restore.bytes_total > 0 && restore.bytes_done == restore.bytes_total);
    assert!(restore.reached.is_some() && restore.replayed_lsn.is_some());
    // It is not done again.
    let client = world.client().await.expect("connects");
    run(&client, "insert into t values (4)").await;
    drop(client);
    world.node_kill();
    world.parent_start();
    world.parent().say(&wanted);
    world.node_start();
    world.in_force(&wanted).await;
    assert_eq!(rows_by_owner(&world).await, "1 2 3 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_database_that_nobody_used_gives_way() {
    let archive = archived().await;
    let mut world = World::new();
    let mut wanted = spec(1);
    wanted.restore = Some(archive.restore_spec(RestoreTarget::Latest));
    // Its helper runs it at once, as a runtime has it.
    let size = [
        "--connections-max=20",
        "--milli-vcpu=250",
        "--memory-mib=512",
    ];
    world.helper_start_with(&size);
    world.parent().say(&wanted);
    world.node_start();
    world.in_force(&wanted).await;
    assert_eq!(rows_by_owner(&world).await, "1 2 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_begins_anew() {
    let archive = archived().await;
    let mut world = World::empty();
    let mut wanted = spec(1);
    wanted.restore = Some(archive.restore_spec(RestoreTarget::Latest));
    for phase in [RestorePhase::Fetching, RestorePhase::Replaying] {
        world.parent_start();
        world.parent().say(&wanted);
        world.helper_start();
        world.node_start();
        let reached = |heard: &Heard| {
            let status = heard.status.as_ref();
            let restore = status.and_then(|status| status.restore.as_ref());
            let done = RestorePhase::Done;
            restore.is_some_and(|restore| restore.phase == phase || restore.phase == done)
        };
        world.hears("how far it is", reached).await;
        world.node_kill();
        world.helper_kill();
    }
    world.parent_start();
    world.parent().say(&wanted);
    world.helper_start();
    world.node_start();
    world.in_force(&wanted).await;
    assert_eq!(rows_by_owner(&world).await, "1 2 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_refused_with_its_reason() {
    let archive = archived().await;
    let mut world = World::empty();
    let mut wanted = spec(1);
    let far = RestoreTarget::Lsn("F000/0".parse().expect("a position"));
    wanted.restore = Some(archive.restore_spec(far));
    world.parent().say(&wanted);
    world.helper_start();
    world.node_start();
    let refusal = |heard: &Heard| {
        let restore = heard.status.as_ref()?.restore.as_ref()?;
        (restore.phase == RestorePhase::Refused).then(|| restore.refusal.clone())?
    };
    let heard = world
        .hears("a refusal", |heard| refusal(heard).is_some())
        .await;
    let said = refusal(&heard).unwrap_or_default();
    assert!(
        said.starts_with("The archive reaches up to WAL position"),
        "{said}"
    );
    assert!(world.engine_pid().is_none());
    // Another target can be asked for.
    wanted.generation = 2;
    wanted.restore = Some(archive.restore_spec(RestoreTarget::Latest));
    world.parent().say(&wanted);
    world.in_force(&wanted).await;
    assert_eq!(rows_by_owner(&world).await, "1 2 3");
}
