//! Backups and restore points that a node makes because its spec lists them.

use crate::bucket::{Archive, Plain, run};
use crate::parent::Heard;
use crate::world::{World, spec};
use lumadb_contract::archive::{
    ArchiveStatus, BackupKind, BackupRequest, BackupState, RestorePointRequest,
};
use lumadb_contract::id::{BackupId, RestorePointId};
use uuid::Uuid;

fn archive_status(heard: &Heard) -> Option<&ArchiveStatus> {
    heard.status.as_ref()?.archive.as_ref()
}

fn request(number: u128, kind: BackupKind) -> BackupRequest {
    BackupRequest {
        backup_id: BackupId::from_uuid(Uuid::from_u128(number)),
        kind,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_makes_what_its_spec_lists_and_tells_what_can_be_restored() {
    let archive = Archive::new().await;
    let mut wanted = spec(1);
    wanted.archive = Some(archive.archive_spec());
    let world = World::running(&wanted).await;
    let client = world.client_soon().await;
    run(&client, "create table t (n int primary key)").await;
    run(&client, "insert into t values (1)").await;
    let mut listed = archive.archive_spec();
    listed.backups = vec![
        request(1, BackupKind::Full),
        request(2, BackupKind::Incremental),
    ];
    wanted.generation = 2;
    wanted.archive = Some(listed.clone());
    world.parent().say(&wanted);
    let heard = world
        .hears("both backups", |heard| complete(heard).len() == 2)
        .await;
    let status = archive_status(&heard).expect("is told");
    assert_eq!(status.backups[0].backup_id, listed.backups[0].backup_id);
    assert_eq!(status.backups[1].kind, BackupKind::Incremental);
    assert_eq!(status.backups[1].parent, Some(listed.backups[0].backup_id));
    let [window] = &status.windows[..] else {
        panic!("one window: {:?}", status.windows);
    };
    assert_eq!(Some(window.from), status.backups[0].ended_at);
    assert_eq!(window.until, None);

    run(&client, "insert into t values (2)").await;
    listed.restore_points = vec![RestorePointRequest {
        restore_point_id: RestorePointId::from_uuid(Uuid::from_u128(1)),
        name: "it's here".to_owned(),
    }];
    wanted.generation = 3;
    wanted.archive = Some(listed);
    world.parent().say(&wanted);
    let made = |heard: &Heard| {
        archive_status(heard).is_some_and(|status| status.restore_points.len() == 1)
    };
    let heard = world.hears("the restore point", made).await;
    let point = archive_status(&heard).expect("is told").restore_points[0].lsn;
    run(&client, "insert into t values (3)").await;
    let reached = |heard: &Heard| {
        archive_status(heard).is_some_and(|status| {
            status.archived_lsn > point && status.archived_lsn == status.flushed_lsn
        })
    };
    world.hears("everything archived", reached).await;
    drop(client);
    drop(world);
    let output = archive.restore("named", &["--name", "it's here"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(Plain::start(&archive, "named").await.rows().await, "1 2");
}

fn complete(heard: &Heard) -> Vec<BackupId> {
    let backups = archive_status(heard).map(|status| status.backups.clone());
    let backups = backups.unwrap_or_default().into_iter();
    let complete = backups.filter(|backup| backup.state == BackupState::Complete);
    complete.map(|backup| backup.backup_id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_needed_no_more_expires_and_what_is_pinned_stays() {
    let archive = Archive::new().await;
    let mut listed = archive.archive_spec();
    listed.backups = vec![
        request(1, BackupKind::Full),
        request(2, BackupKind::Full),
        request(3, BackupKind::Full),
        request(4, BackupKind::Incremental),
    ];
    let mut wanted = spec(1);
    wanted.archive = Some(listed.clone());
    let world = World::running(&wanted).await;
    let client = world.client_soon().await;
    run(&client, "create table t (n int primary key)").await;
    run(&client, "insert into t values (1)").await;
    let ids: Vec<_> = listed
        .backups
        .iter()
        .map(|request| request.backup_id)
        .collect();
    let all = |heard: &Heard| complete(heard) == ids;
    world.hears("all backups", all).await;
    // None of them is younger; the last one builds on the third, and the first is in use.
    listed.expire_before = Some(time::macros::datetime!(2999-01-01 0:00 UTC));
    listed.pinned = vec![ids[0]];
    listed.backups.clear();
    wanted.generation = 2;
    wanted.archive = Some(listed);
    world.parent().say(&wanted);
    let kept = |heard: &Heard| complete(heard) == [ids[0], ids[2], ids[3]];
    world.hears("one backup less", kept).await;
    let below = archive.layout.backup(ids[1], "");
    let left = archive.store.list(&below, None).await.expect("answers");
    assert!(left.is_empty(), "{left:?}");
    drop(client);
    drop(world);
    let output = archive.restore("kept", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(Plain::start(&archive, "kept").await.rows().await, "1");
}
