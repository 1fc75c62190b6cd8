//! An image's template of a data folder, and volumes with nothing on them.

use crate::world::{World, engine_dir, spec};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The engine's programs with a template, as our images have them.
fn engine_with_template(world: &World) -> PathBuf {
    let engine = world.folder.path().join("engine");
    std::fs::create_dir(&engine).expect("made");
    for entry in std::fs::read_dir(engine_dir()).expect("lists") {
        let entry = entry.expect("lists");
        symlink(entry.path(), engine.join(entry.file_name())).expect("linked");
    }
    let template = engine.join("template");
    let mut copying = Command::new("cp");
    copying.arg("-R").arg(world.instance().join("data"));
    assert!(copying.arg(&template).status().expect("runs").success());
    let mut opening = Command::new("chmod");
    opening.args(["-R", "a+rX"]).arg(&template);
    assert!(opening.status().expect("runs").success());
    engine
}

fn identifier_in(data: &Path) -> u64 {
    let control = std::fs::read(data.join("global/pg_control")).expect("reads");
    u64::from_ne_bytes(control[..8].try_into().expect("8 bytes"))
}

#[tokio::test]
async fn databases_of_one_template_are_whole_and_each_its_own() {
    let world = World::new();
    let engine = engine_with_template(&world);
    let mut identifiers = vec![identifier_in(&engine.join("template"))];
    for _ in 0..2 {
        let world = World::running_from_nothing(&spec(1), engine.clone()).await;
        let client = world.client_soon().await;
        client
            .batch_execute("create table kept as select generate_series(1, 1000) as id")
            .await
            .expect("works");
        let admin = world.direct("lumadb_admin", "postgres").await;
        let told = "select system_identifier from pg_control_system()";
        let told: i64 = admin.query_one(told, &[]).await.expect("tells").get(0);
        let identifier = identifier_in(&world.instance().join("data"));
        assert_eq!(told.cast_unsigned(), identifier);
        identifiers.push(identifier);
    }
    identifiers.sort_unstable();
    identifiers.dedup();
    assert_eq!(identifiers.len(), 3);
}
