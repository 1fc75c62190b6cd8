//! `lumadb-cloud up`: what it says, how it ends, how it finds again what outlived it, and how it
//! fails.

use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::{Cloud, new_folder, settings_of_tests, up_command};
use lumadb_e2e::{Outcome, process, tools};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::process::Command;

#[tokio::test]
async fn it_stops_everything_in_order_and_keeps_everything() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("kept").await?;
    tools::psql(&database.uri, "create table kept as select 42 as answer").await?;
    let status = cloud.stop().await?;
    assert!(status.success(), "{status}\n{}", cloud.log_tail());
    assert_eq!(process::of_folder(&cloud.data_dir())?, []);
    let instance = cloud.instance_dir(&database.id);
    assert!(
        !instance.join("data/postmaster.pid").exists(),
        "no clean stop"
    );

    cloud.up_again().await?;
    let api = cloud
        .api()
        .with("authorization", &format!("Bearer {}", ada.token))?;
    let port = {
        let ada = Account { api, ..ada };
        ada.database(&database.id, &database.password).await?.uri
    };
    assert_eq!(tools::psql(&port, "select answer from kept").await?, "42");
    Ok(())
}

#[tokio::test]
async fn everything_serves_on_when_it_is_killed_and_the_next_one_adopts() -> Outcome<()> {
    let mut cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("kept").await?;
    let pids = |cloud: &Cloud| -> Outcome<Vec<i32>> {
        // The pool is refilled meanwhile, which starts engines for a moment.
        let pool = cloud.data_dir().join("pool");
        let lasting = |process: &process::Process| {
            let service = |name: &&str| process.is_service(name);
            let folder = process.instance_dir();
            folder.is_some_and(|folder| !folder.starts_with(&pool))
                || ["api", "worker", "edge", "s3"].iter().any(service)
        };
        let mut processes = cloud.processes()?;
        processes.retain(lasting);
        Ok(processes.iter().map(|process| process.pid).collect())
    };
    let before = pids(&cloud)?;
    cloud.kill_up().await?;
    assert_eq!(tools::psql(&database.uri, "select 1").await?, "1");
    ada.api.read("/v1/me").await?;
    cloud.up_again().await?;
    assert_eq!(
        pids(&cloud)?,
        before,
        "the next `up` started something anew"
    );
    assert_eq!(tools::psql(&database.uri, "select 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_second_one_on_the_same_folder_is_refused() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let text = refused(&cloud.data_dir(), &[]).await?;
    assert!(text.contains("already"), "{text}");
    cloud.api().get("/health/ready").await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn two_clouds_on_one_machine_have_no_user_in_common() -> Outcome<()> {
    // Only root gives databases users of their own.
    if !nix::unistd::Uid::effective().is_root() {
        return Ok(());
    }
    let users = |cloud: &Cloud| -> Outcome<BTreeSet<u32>> {
        let processes = cloud.processes()?;
        let nodes = processes
            .iter()
            .filter(|process| process.is_node() || process.is_engine_helper());
        Ok(nodes.filter_map(process::Process::user).collect())
    };
    let one = Cloud::start().await?;
    let mut other = one.start_beside().await?;
    let (of_one, of_other) = (users(&one)?, users(&other)?);
    assert!(of_one.len() >= 2 && of_other.len() >= 2);
    assert!(of_one.is_disjoint(&of_other), "{of_one:?} {of_other:?}");

    let record = other.data_dir().join("user-ids.json");
    let ranges = |record: &Path| -> Outcome<serde_json::Value> {
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(record)?)?;
        Ok(record["ranges"].clone())
    };
    let before = ranges(&record)?;
    other.stop().await?;
    other.up_again().await?;
    assert_eq!(ranges(&record)?, before, "a restart changed the ranges");
    assert!(of_one.is_disjoint(&users(&other)?));
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named() -> Outcome<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let folder = new_folder()?;
    let data_dir = folder.path().join("d");
    let of_a_cluster = [
        ("LUMADB_REGION_RUNTIME", "kubernetes"),
        ("LUMADB_CLUSTER_NAMESPACE", "tenants"),
        ("LUMADB_CLUSTER_LINK_ADDRESS", "https://127.0.0.1:1"),
        ("LUMADB_OBJECT_STORE_BUCKET", "archives"),
        ("LUMADB_OBJECT_STORE_ENDPOINT", "http://127.0.0.1:9"),
    ];
    let cases: [(&str, &[(&str, &str)]); 3] = [
        ("LUMADB_HTTP_LISTEN", &[]),
        ("LUMADB_EDGE_LISTEN", &[]),
        ("LUMADB_CLUSTER_LINK_LISTEN", &of_a_cluster),
    ];
    for (name, more) in cases {
        let settings = [&[(name, address.as_str())], more].concat();
        let text = refused(&data_dir, &settings).await?;
        assert!(text.contains(name), "{text}");
        assert!(
            text.contains(&taken.local_addr()?.port().to_string()),
            "{text}"
        );
        assert!(text.contains("in use"), "{text}");
    }
    assert_eq!(
        process::of_folder(&data_dir)?,
        [],
        "it left processes behind"
    );
    Ok(())
}

#[tokio::test]
async fn missing_engine_binaries_are_explained() -> Outcome<()> {
    let folder = new_folder()?;
    let settings = [("LUMADB_ENGINE_DIR", "/nonexistent")];
    let text = refused(&folder.path().join("d"), &settings).await?;
    assert!(text.contains("/nonexistent"), "{text}");
    assert!(
        text.contains("make engine") || text.contains("LUMADB_ENGINE_DIR"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn an_engine_that_its_users_cannot_reach_is_copied_with_its_libraries() -> Outcome<()> {
    // Anyone but root runs databases as the user who may enter.
    if !nix::unistd::Uid::effective().is_root() {
        return Ok(());
    }
    let closed = tempfile::tempdir()?;
    let engine = tools::engine_dir();
    let package = engine.parent().ok_or("an engine in no folder")?;
    let libraries = PathBuf::from(format!("{}.libs", package.display()));
    let name = |path: &Path| closed.path().join(path.file_name().unwrap_or_default());
    let copy = name(package).join("pginstall");
    std::fs::create_dir(name(package))?;
    tools::run(Command::new("cp").arg("-a").args([&engine, &copy])).await?;
    if libraries.is_dir() {
        let beside = name(&libraries);
        tools::run(Command::new("cp").arg("-a").args([&libraries, &beside])).await?;
    }
    let copy = copy.display().to_string();
    let cloud = Cloud::start_with(&[("LUMADB_ENGINE_DIR", &copy)]).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("reached").await?;
    assert_eq!(tools::psql(&database.uri, "select 1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() -> Outcome<()> {
    let folder = new_folder()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "")?;
    let text = refused(&file.join("d"), &[]).await?;
    assert!(text.contains(&file.display().to_string()), "{text}");
    if !nix::unistd::Uid::effective().is_root() {
        let locked = folder.path().join("locked");
        std::fs::create_dir(&locked)?;
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500))?;
        let text = refused(&locked.join("d"), &[]).await?;
        assert!(text.contains(&locked.display().to_string()), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_explained() -> Outcome<()> {
    // Only root can make a small disk.
    if !nix::unistd::Uid::effective().is_root() {
        return Ok(());
    }
    let folder = new_folder()?;
    let disk = SmallDisk::mount(folder.path()).await?;
    let data_dir = folder.path().join("d");
    let text = refused(&data_dir, &[]).await?;
    assert!(text.contains("space") || text.contains("full"), "{text}");
    assert_eq!(
        process::of_folder(&data_dir)?,
        [],
        "it left processes behind"
    );
    drop(disk);
    Ok(())
}

/// A file system of a few megabytes, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    async fn mount(at: &Path) -> Outcome<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=24m,mode=0755", "tmpfs"]);
        tools::run(command.arg(at)).await?;
        Ok(Self(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let lazily = nix::mount::MntFlags::MNT_DETACH;
        let _ = nix::mount::umount2(&self.0, lazily);
    }
}

#[tokio::test]
async fn an_unknown_configuration_key_is_named() -> Outcome<()> {
    let folder = new_folder()?;
    let data_dir = folder.path().join("d");
    std::fs::create_dir(&data_dir)?;
    std::fs::write(data_dir.join("config.toml"), "colour_of_logs = \"red\"\n")?;
    let text = refused(&data_dir, &[]).await?;
    assert!(text.contains("colour_of_logs"), "{text}");
    std::fs::remove_file(data_dir.join("config.toml"))?;
    let text = refused(&data_dir, &[("LUMADB_COLOUR_OF_LOGS", "red")]).await?;
    assert!(text.to_lowercase().contains("colour_of_logs"), "{text}");
    Ok(())
}

/// Starts `up`, which must refuse in a few words; gives what it said.
async fn refused(data_dir: &Path, settings: &[(&str, &str)]) -> Outcome<String> {
    let mut command: Command = up_command(data_dir)?;
    command
        .envs(settings_of_tests())
        .envs(settings.iter().copied());
    let limit = std::time::Duration::from_mins(1);
    let output = tokio::time::timeout(limit, tools::output(&mut command)).await??;
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    assert!(!output.status.success(), "`up` did not refuse");
    assert!(
        !error.is_empty() && error.len() < 600,
        "not one clear sentence: {error}"
    );
    assert!(!error.contains("panicked"), "{error}");
    Ok(error)
}
