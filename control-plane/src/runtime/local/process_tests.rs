//! Children that outlive their parent: real processes, in a folder of their own.

use super::keeper::{Keeper, KeptState, Wish};
use super::layout::DataFolder;
use super::process::{Processes, Program};
use super::{files, proc};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(5);

/// A data folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> (Self, Processes) {
        let root = std::env::temp_dir().join(format!("lumadb-{name}-{}", std::process::id()));
        let data = DataFolder::new(&root);
        for folder in [data.processes(), data.logs()] {
            files::make_folder(&folder, 0o700).expect("a folder");
        }
        (Self(root), Processes::new(data))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        files::remove_folder(&self.0).expect("removed");
    }
}

fn program(name: &str, fingerprint: &str, script: &str) -> Program {
    Program {
        name: name.into(),
        path: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Vec::new(),
        inherit_environment: false,
        user: None,
        fingerprint: fingerprint.into(),
    }
}

const SLEEP: &str = "exec sleep 600";

#[tokio::test]
async fn a_process_is_found_again_until_it_ends() {
    let (_folder, processes) = Folder::new("found");
    let mut started = processes
        .start(&program("node.a", "", SLEEP))
        .expect("started");
    let (mut found, _) = processes.find("node.a").expect("found");
    assert_eq!(found.pid(), started.pid());
    found.signal(Signal::SIGTERM);
    started.wait().await;
    found.wait().await;
    assert!(processes.find("node.a").is_none());
}

#[tokio::test]
async fn a_process_that_was_never_recorded_gets_its_record_and_a_second_one_is_ended() {
    let (_folder, processes) = Folder::new("marked");
    let mut first = processes
        .start(&program("node.a", "", SLEEP))
        .expect("started");
    // As if the parent had been killed before it wrote the record.
    processes.forget("node.a");
    processes
        .recover(|name| name == "node.a")
        .await
        .expect("recovered");
    let (found, _) = processes.find("node.a").expect("recorded now");
    assert_eq!(found.pid(), first.pid());

    let mut second = processes
        .start(&program("node.a", "", SLEEP))
        .expect("started");
    let reaped = tokio::spawn(async move { first.wait().await });
    processes
        .recover(|name| name == "node.a")
        .await
        .expect("recovered");
    reaped.await.expect("waited");
    let (kept, _) = processes.find("node.a").expect("one is left");
    assert_eq!(kept.pid(), second.pid());
    second.stop(GRACE).await;
}

#[tokio::test]
async fn what_others_own_is_left_alone() {
    let (_folder, processes) = Folder::new("others");
    let mut other = processes
        .start(&program("worker", "", SLEEP))
        .expect("started");
    processes.forget("worker");
    processes
        .recover(|name| name == "api")
        .await
        .expect("recovered");
    assert!(proc::start_time(other.pid()).is_some());
    assert!(processes.find("worker").is_none());
    other.stop(GRACE).await;
}

#[tokio::test]
async fn one_that_does_not_end_when_asked_is_killed() {
    let (_folder, processes) = Folder::new("stubborn");
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let mut stubborn = processes
        .start(&program("node.a", "", script))
        .expect("started");
    while processes.log_tail("node.a", 100) != "ready" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = stubborn.pid();
    stubborn.stop_group(Duration::from_millis(50)).await;
    assert_eq!(proc::start_time(pid), None);
}

#[tokio::test]
async fn a_keeper_starts_a_dead_process_again_and_leaves_it_to_the_next_keeper() {
    let (_folder, processes) = Folder::new("kept");
    let wish = || Wish::Run(Arc::new(program("api", "build 1", SLEEP)));
    let keeper = Keeper::new(processes.clone(), "api".into(), wish());
    let first = running(&keeper).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first), Signal::SIGKILL).expect("killed");
    let mut state = keeper.state();
    let waits = |state: &KeptState| matches!(state, KeptState::Waiting { attempt: 1 });
    state.wait_for(waits).await.expect("a keeper");
    let second = running(&keeper).await;
    assert_ne!(first, second);
    keeper.leave().await;
    assert!(proc::start_time(second).is_some(), "it was left, not ended");

    let next = Keeper::new(processes.clone(), "api".into(), wish());
    assert_eq!(running(&next).await, second, "the same build is adopted");
    next.leave().await;

    let another = Wish::Run(Arc::new(program("api", "build 2", SLEEP)));
    let last = Keeper::new(processes.clone(), "api".into(), another);
    assert_ne!(running(&last).await, second, "another build replaces it");
    assert_eq!(proc::start_time(second), None);
    last.stop(Signal::SIGTERM, GRACE).await;
    assert!(processes.find("api").is_none());
    assert!(processes.recorded().is_empty());
}

#[tokio::test]
async fn a_process_that_may_finish_is_not_started_again() {
    let (_folder, processes) = Folder::new("finish");
    let wish = Wish::Run(Arc::new(program("node.a", "", SLEEP)));
    let keeper = Keeper::new(processes, "node.a".into(), wish);
    let pid = running(&keeper).await;
    keeper.wish(Wish::Finish);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM).expect("told");
    keeper.ended().await;
    keeper.leave().await;
}

async fn running(keeper: &Keeper) -> i32 {
    let mut state = keeper.state();
    let state = state
        .wait_for(|state| matches!(state, KeptState::Running { .. }))
        .await
        .expect("a keeper");
    match *state {
        KeptState::Running { pid, .. } => pid,
        _ => unreachable!("waited for"),
    }
}
