//! Memory that no file backs: of a node beside its engine, of a connection, of many databases.

use super::Settings;
use crate::pgbench::{self, Workload};
use crate::process::{anonymous_kib_of, proportional_kib_of};
use crate::report::{Bar, Row, Unit};
use crate::rig::{Rig, Way};
use crate::world::World;
use lumadb_e2e::process::{Process, anonymous_kib, signal};
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use nix::sys::signal::Signal;
use std::process::Stdio;
use std::time::Duration;

const SECTION: &str = "memory";

/// Idle connections held open at once.
const HELD: u32 = 200;

/// Longest time until no process ends while all are looked at.
const STEADY_LIMIT: Duration = Duration::from_mins(1);

/// Databases made at the same time.
const MADE_AT_ONCE: usize = 4;

pub(crate) async fn measure(settings: &Settings) -> Outcome<Vec<Row>> {
    let mut rows = beside_engine(settings).await?;
    rows.extend(awake(settings).await?);
    rows.extend(asleep(settings).await?);
    Ok(rows)
}

async fn beside_engine(settings: &Settings) -> Outcome<Vec<Row>> {
    let rig = Rig::start().await?;
    for tls in [false, true] {
        let span = settings.soak / 2;
        settings.progress(&format!("memory: pgbench for {span:?} through both"));
        let [node, bouncer] = [Way::Node, Way::Bouncer].map(|way| rig.address(way, tls));
        tokio::try_join!(
            pgbench::run(&node, Workload::SelectPrepared, span),
            pgbench::run(&bouncer, Workload::SelectPrepared, span),
        )?;
    }
    let name = Way::Bouncer.name();
    let kib = |pid: i32| Ok::<f64, lumadb_e2e::Failure>(as_f64(anonymous_kib(pid)?));
    let (node, bouncer) = (
        kib(rig.node_pid())? / 1024.0,
        kib(rig.bouncer_pid())? / 1024.0,
    );
    let what = format!("node after {:?} of pgbench", settings.soak);
    let mut rows = vec![
        Row::new(SECTION, what, Unit::Mebibytes, &[node])?
            .beside_value(name, bouncer)
            .bar(Bar::ValueAtMost(15.0)),
        Row::new(
            SECTION,
            "helper of the engine",
            Unit::Mebibytes,
            &[kib(rig.helper_pid())? / 1024.0],
        )?,
    ];
    for tls in [false, true] {
        let node = held(&rig, Way::Node, tls).await?;
        let bouncer = held(&rig, Way::Bouncer, tls).await?;
        let what = format!(
            "one of {HELD} idle connections{}",
            if tls { ", TLS" } else { "" }
        );
        rows.push(Row::new(SECTION, what, Unit::Kibibytes, &[node])?.beside_value(name, bouncer));
    }
    Ok(rows)
}

/// KiB that each of many idle connections costs.
async fn held(rig: &Rig, way: Way, tls: bool) -> Outcome<f64> {
    let address = rig.address(way, tls);
    let script = rig.folder().join("sleep.sql");
    std::fs::write(&script, "select 1;\n\\sleep 600 s\n")?;
    let before = anonymous_kib_of(&address.relays)?;
    let mut command = pgbench::hold_idle(&address, HELD, &script)?;
    let mut holder = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let engine = rig.address(Way::EngineSocket, false).connection;
    let connected = until(
        "the connections to be open",
        Duration::from_mins(1),
        || async {
            let sql = "select count(*) from pg_stat_activity where application_name = 'pgbench' \
                   and state = 'idle' and query like 'select 1%'";
            let open: u32 = tools::psql(&engine, sql).await?.parse()?;
            Ok((open >= HELD).then_some(()))
        },
    )
    .await;
    let after = anonymous_kib_of(&address.relays)?;
    if let Some(pid) = holder.id() {
        signal(pid.cast_signed(), Signal::SIGTERM)?;
    }
    holder.wait().await?;
    connected?;
    until(
        "the connections to be closed",
        Duration::from_mins(1),
        || async {
            let sql = "select count(*) from pg_stat_activity where application_name = 'pgbench'";
            let open: u32 = tools::psql(&engine, sql).await?.parse()?;
            Ok((open == 0).then_some(()))
        },
    )
    .await?;
    Ok(as_f64(after.saturating_sub(before)) / f64::from(HELD))
}

/// Many databases awake at once, without a client.
async fn awake(settings: &Settings) -> Outcome<Vec<Row>> {
    let world = World::start(MADE_AT_ONCE).await?;
    make(&world, settings.awake, settings).await?;
    // Processes of PostgreSQL come and go: one that ended since it was listed has no memory.
    until("a moment when none ends", STEADY_LIMIT, || async {
        awake_now(settings, &world).map(Some)
    })
    .await
}

fn awake_now(settings: &Settings, world: &World) -> Outcome<Vec<Row>> {
    let count = as_f64(u64::try_from(settings.awake)?);
    let processes = world.cloud.processes()?;
    let instances: Vec<&Process> = processes
        .iter()
        .filter(|process| {
            process
                .instance_dir()
                .is_none_or(|folder| !folder.ends_with("control"))
        })
        .collect();
    let pids = |is: fn(&Process) -> bool| -> Vec<i32> {
        let found = instances.iter().filter(|process| is(process));
        found.map(|process| process.pid).collect()
    };
    let row = |what: &str, kib: u64| {
        let what = format!("{what}, each of {} awake", settings.awake);
        Row::new(
            SECTION,
            what,
            Unit::Mebibytes,
            &[as_f64(kib) / 1024.0 / count],
        )
    };
    let services = pids(|process| {
        ["up", "api", "worker", "edge", "s3"]
            .iter()
            .any(|name| process.is_service(name))
    });
    let tenants: Vec<i32> = instances
        .iter()
        .map(|process| process.pid)
        .filter(|pid| !services.contains(pid))
        .collect();
    Ok(vec![
        row("node", anonymous_kib_of(&pids(Process::is_node))?)?,
        row(
            "helper of the engine",
            anonymous_kib_of(&pids(Process::is_engine_helper))?,
        )?,
        row(
            "node, helper and PostgreSQL, shared pages split",
            proportional_kib_of(&tenants)?,
        )?,
    ])
}

/// Many databases asleep: what the processes that serve all of them need for each.
async fn asleep(settings: &Settings) -> Outcome<Vec<Row>> {
    let world = World::start(MADE_AT_ONCE).await?;
    let services = |world: &World| -> Outcome<u64> {
        let processes = world.cloud.processes()?;
        let pids: Vec<i32> = processes
            .iter()
            .filter(|process| {
                ["up", "api", "worker", "edge", "s3"]
                    .iter()
                    .any(|name| process.is_service(name))
            })
            .map(|process| process.pid)
            .collect();
        anonymous_kib_of(&pids)
    };
    let before = services(&world)?;
    world
        .control_sql("update plans set idle_timeout_seconds = 1")
        .await?;
    make(&world, settings.asleep, settings).await?;
    world
        .control_sql("update databases set idle_timeout_seconds = 1")
        .await?;
    until(
        "every database to be asleep",
        Duration::from_mins(10),
        || async {
            let nodes = world.cloud.processes()?;
            let awake = nodes.iter().filter(|process| process.is_node()).count();
            // The control plane's own node stays.
            Ok((awake <= 1).then_some(()))
        },
    )
    .await?;
    let after = services(&world)?;
    let count = as_f64(u64::try_from(settings.asleep)?);
    let each = as_f64(after.saturating_sub(before)) / count;
    Ok(vec![
        Row::new(
            SECTION,
            format!(
                "API, worker and edge, for each of {} asleep",
                settings.asleep
            ),
            Unit::Kibibytes,
            &[each],
        )?,
        Row::new(
            SECTION,
            format!("API, worker and edge with {} asleep", settings.asleep),
            Unit::Mebibytes,
            &[as_f64(after) / 1024.0],
        )?,
    ])
}

async fn make(world: &World, count: usize, settings: &Settings) -> Outcome<()> {
    for first in (0..count).step_by(MADE_AT_ONCE) {
        let names = (first..count.min(first + MADE_AT_ONCE)).map(|index| format!("bench-{index}"));
        let mut operations = Vec::new();
        for name in names {
            operations.push(world.request(&name).await?.text_at("/operation/id")?);
        }
        for operation in operations {
            world.account.operation_succeeds(&operation).await?;
        }
        settings.progress(&format!("memory: {first} of {count} databases"));
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes of memory are far below 2^53"
)]
fn as_f64(number: u64) -> f64 {
    number as f64
}
