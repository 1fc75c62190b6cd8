//! The helper: the process of the engine's own user that starts and stops PostgreSQL for the node.
//!
//! It carries out the newest order it was given, restarts an engine that dies while it shall run,
//! and tells every connected node what the engine is. It ends when told to, or by SIGTERM, and
//! takes the engine with it; killed, it leaves the engine to its successor.

use super::config::{Change, ConfigFiles, Machine, Settings};
use super::directory::EngineDir;
use super::helper_protocol::{
    Command, EnginePhase, EngineReport, FrameError, Order, frame_read, frame_write,
};
use super::instance_dir::InstanceDir;
use super::output::EngineOutput;
use super::postmaster::{EngineEvent, Postmaster, PostmasterError, StopMode};
use super::write_limit::WriteLimit;
use crate::files;
use crate::log::BoundedLog;
use crate::recovery::{is_database, restore_end, restore_serve};
use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// Time given to each way of ending the engine, seconds.
const STOP_PATIENCE_SECONDS: u64 = 60;

/// Pauses before starting an engine again that died, milliseconds: the first, and the longest.
const RESTART_PAUSE_MS: (u64, u64) = (50, 10_000);

/// An engine that ran so long, seconds, was well: the pauses begin anew.
const WELL_AFTER_SECONDS: u64 = 30;

/// Number of an order that came from no node: theirs begin above it.
const NUMBER_OF_NO_NODE: u64 = 0;

#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    #[error("another helper serves {}", path.display())]
    Taken { path: PathBuf },
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no database yet", path.display())]
    NoDatabase { path: PathBuf },
    #[error(transparent)]
    Postmaster(#[from] PostmasterError),
}

/// Serves `run/engine.sock` until told to exit, or until `ended` completes; the engine is stopped
/// when it returns. With `start` an engine that does not run is started at once, while the node is
/// still on its way: the node's order, which is the same unless the spec changed meanwhile, finds it
/// running. One that an earlier helper left running is the node's to change, which lets its clients
/// end their transactions first. What the engine prints goes to `log`.
pub async fn helper_run(
    engine: EngineDir,
    instance: InstanceDir,
    log: Arc<BoundedLog>,
    start: Option<Settings>,
    ended: impl Future<Output = ()>,
) -> Result<(), HelperError> {
    let _lock = lock(&instance)?;
    // A node that finds the second finds the first.
    let restores = listen(&instance.restore_socket())?;
    let listener = listen(&instance.helper_socket())?;
    let program = std::env::current_exe().map_err(fault("finding", Path::new("/proc/self/exe")))?;
    let mut restoring = std::pin::pin!(restore_serve(
        engine.clone(),
        instance.clone(),
        program,
        restores
    ));
    let path = instance.engine_output();
    let output = EngineOutput::open(&instance, log).map_err(fault("opening", &path))?;
    let output = Arc::new(output);
    let is_database = is_database(&instance.data());
    // One that replays what is restored belongs to whoever restores.
    let running = Postmaster::adopt(&instance).filter(|_| is_database);
    let start = start
        .filter(|_| running.is_none() && is_database)
        .zip(Machine::this());
    let first = start.map(|(settings, machine)| Order {
        number: NUMBER_OF_NO_NODE,
        command: Command::Run {
            config: Box::new(ConfigFiles::new(
                settings,
                machine,
                &limit_before(&instance.data()),
            )),
        },
    });
    let (orders, _) = watch::channel(first);
    let (reports, _) = watch::channel(EngineReport {
        phase: EnginePhase::Stopped,
        settled: None,
        pid: None,
        error: None,
    });
    let supervisor = Supervisor {
        engine: engine.clone(),
        running,
        instance: instance.clone(),
        output: output.clone(),
        orders: orders.subscribe(),
        reports: reports.clone(),
        order: None,
        pause_ms: RESTART_PAUSE_MS.0,
        failed: false,
    };
    let mut supervision = std::pin::pin!(supervisor.run());
    let mut copying = std::pin::pin!(output.copy());
    let mut ended = std::pin::pin!(ended);
    let mut told_to_end = false;
    loop {
        tokio::select! {
            result = &mut supervision => {
                restore_end(&engine, &instance).await;
                output.copy_rest();
                return result;
            }
            () = &mut copying => {}
            () = &mut restoring => {}
            () = &mut ended, if !told_to_end => {
                told_to_end = true;
                let mode = StopMode::Fast;
                orders.send_replace(Some(Order { number: NUMBER_OF_NO_NODE, command: Command::Exit { mode } }));
            }
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                tokio::spawn(serve_node(stream, orders.clone(), reports.subscribe()));
            } else {
                // Out of file descriptors, most likely: others end before this comes to an end.
                sleep(Duration::from_millis(100)).await;
            },
        }
    }
}

fn fault<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> HelperError + Copy + 'a {
    move |source| HelperError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Held as long as the helper lives, so that there is one.
fn lock(instance: &InstanceDir) -> Result<File, HelperError> {
    let path = instance.run().join("engine.lock");
    let file = File::create(&path).map_err(fault("creating", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(HelperError::Taken { path }),
        Err(std::fs::TryLockError::Error(source)) => Err(fault("locking", &path)(source)),
    }
}

fn listen(path: &Path) -> Result<UnixListener, HelperError> {
    let fault = fault("listening on", path);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(fault)?;
    // The node is of the same group and of another user.
    let mode = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(path, mode).map_err(fault)?;
    Ok(listener)
}

/// One connection of a node. A node that goes away changes nothing.
async fn serve_node(
    stream: UnixStream,
    orders: watch::Sender<Option<Order>>,
    mut reports: watch::Receiver<EngineReport>,
) {
    let (mut from_node, mut to_node) = stream.into_split();
    let reading = async {
        loop {
            let order: Order = frame_read(&mut from_node).await?;
            orders.send_replace(Some(order));
        }
    };
    let writing = async {
        reports.mark_changed();
        while reports.changed().await.is_ok() {
            let report = reports.borrow_and_update().clone();
            frame_write(&mut to_node, &report).await?;
        }
        Ok(())
    };
    let ended: Result<(), FrameError> = tokio::select! {
        ended = reading => ended,
        ended = writing => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a node's connection ended");
    }
}

struct Supervisor {
    engine: EngineDir,
    instance: InstanceDir,
    output: Arc<EngineOutput>,
    running: Option<Postmaster>,
    orders: watch::Receiver<Option<Order>>,
    reports: watch::Sender<EngineReport>,
    /// What is being carried out, or was; a newer one may wait.
    order: Option<Order>,
    /// Before the next attempt to start, milliseconds.
    pause_ms: u64,
    /// The order could not be carried out, or not all of it.
    failed: bool,
}

impl Supervisor {
    async fn run(mut self) -> Result<(), HelperError> {
        if self.running.is_some() {
            self.report(EnginePhase::Starting, None);
        }
        loop {
            self.order.clone_from(&self.orders.borrow_and_update());
            match self.order.clone().map(|order| order.command) {
                None => {}
                Some(Command::Run { config }) => {
                    let done = self.ensure_running(&config).await;
                    self.failed = done.is_err();
                    if let Err(error) = done {
                        tracing::error!(%error, "the engine is not as it shall be");
                        // One that runs is not stopped by what could not be written.
                        let phase = match &self.running {
                            Some(_) => self.reports.borrow().phase,
                            None => EnginePhase::Stopped,
                        };
                        self.report(phase, Some(error.to_string()));
                    }
                }
                Some(Command::Stop { mode }) => self.stop(mode).await?,
                Some(Command::Exit { mode }) => return self.stop(mode).await,
            }
            self.wait().await;
        }
    }

    /// Waits until there is something to do, keeping the report true.
    async fn wait(&mut self) {
        let shall_run = matches!(
            self.order.as_ref().map(|order| &order.command),
            Some(Command::Run { .. })
        );
        loop {
            let Some(engine) = &mut self.running else {
                let pause = Duration::from_millis(self.pause_ms);
                tokio::select! {
                    changed = self.orders.changed() => end_if_closed(changed).await,
                    () = sleep(pause), if shall_run => {}
                }
                return;
            };
            tokio::select! {
                changed = self.orders.changed() => return end_if_closed(changed).await,
                event = engine.event() => match event {
                    EngineEvent::Ready => self.report(EnginePhase::Ready, None),
                    EngineEvent::Ended(how) => {
                        tracing::warn!(how, "the engine ended by itself");
                        self.running = None;
                        self.report(EnginePhase::Stopped, Some(how));
                        self.pause_ms = (self.pause_ms * 2).min(RESTART_PAUSE_MS.1);
                    }
                },
                () = sleep(Duration::from_millis(RESTART_PAUSE_MS.1)), if self.failed => return,
                () = sleep(Duration::from_secs(WELL_AFTER_SECONDS)),
                    if self.pause_ms > RESTART_PAUSE_MS.0 => self.pause_ms = RESTART_PAUSE_MS.0,
            }
        }
    }

    async fn ensure_running(&mut self, config: &ConfigFiles) -> Result<(), HelperError> {
        let data = self.instance.data();
        if self.running.is_none() && !is_database(&data) {
            return Err(HelperError::NoDatabase { path: data });
        }
        let change = match started_with(&data) {
            Some(started) => config.change_from(&started),
            None => Change::Restart,
        };
        if let Some(engine) = &self.running {
            match change {
                // Some of another configuration may have been written, and be in force.
                Change::None if !self.failed => {}
                Change::None | Change::Reload => {
                    write_config(&data, config)?;
                    engine.reload()?;
                    write_started(&data, config)?;
                }
                Change::Restart => self.stop(StopMode::Fast).await?,
            }
        }
        if self.running.is_some() {
            self.failed = false;
            let phase = self.reports.borrow().phase;
            self.report(phase, None);
            return Ok(());
        }
        write_config(&data, config)?;
        write_started(&data, config)?;
        let path = self.instance.engine_output();
        let streams = self.output.for_engine();
        let streams = streams.map_err(fault("opening", &path))?;
        let started = Postmaster::start_printing(&self.engine, &self.instance, streams)?;
        self.running = Some(started);
        self.report(EnginePhase::Starting, None);
        Ok(())
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), HelperError> {
        if let Some(engine) = self.running.take() {
            let pid = engine.pid();
            self.reports.send_modify(|report| {
                report.phase = EnginePhase::Stopping;
                report.settled = None;
                report.pid = Some(pid);
            });
            engine
                .stop(mode, Duration::from_secs(STOP_PATIENCE_SECONDS))
                .await?;
        }
        self.pause_ms = RESTART_PAUSE_MS.0;
        self.failed = false;
        self.report(EnginePhase::Stopped, None);
        Ok(())
    }

    fn report(&self, phase: EnginePhase, error: Option<String>) {
        let settled = self.order.as_ref().and_then(|order| {
            let shall_run = matches!(order.command, Command::Run { .. });
            let done = match phase {
                EnginePhase::Ready => shall_run,
                EnginePhase::Stopped => !shall_run,
                EnginePhase::Starting | EnginePhase::Stopping => false,
            };
            (done && !self.failed).then_some(order.number)
        });
        self.reports.send_replace(EngineReport {
            phase,
            settled,
            pid: self.running.as_ref().map(Postmaster::pid),
            error,
        });
    }
}

/// The sender of orders lives as long as the process; without one there is nothing to wait for.
async fn end_if_closed(changed: Result<(), watch::error::RecvError>) {
    if changed.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The limit of the engine's last life holds until the node says what holds now.
fn limit_before(data: &Path) -> WriteLimit {
    let text = std::fs::read_to_string(data.join("postgresql.conf"));
    WriteLimit::of_config(&text.unwrap_or_default())
}

/// Where the configuration that the engine was started with is kept, so that a later helper knows
/// what a change takes.
fn started_path(data: &Path) -> PathBuf {
    data.join("lumadb.started.json")
}

fn started_with(data: &Path) -> Option<ConfigFiles> {
    serde_json::from_slice(&std::fs::read(started_path(data)).ok()?).ok()
}

fn write_started(data: &Path, config: &ConfigFiles) -> Result<(), HelperError> {
    let path = started_path(data);
    let text = serde_json::to_vec(config)
        .map_err(io::Error::from)
        .map_err(fault("writing", &path))?;
    files::refresh(&path, &text).map_err(fault("writing", &path))
}

/// Writes the files that differ.
pub(super) fn write_config(data: &Path, config: &ConfigFiles) -> Result<(), HelperError> {
    for (name, content) in [
        ("postgresql.conf", &config.postgresql),
        ("pg_hba.conf", &config.hba),
        ("pg_ident.conf", &config.ident),
    ] {
        let path = data.join(name);
        files::refresh(&path, content.as_bytes()).map_err(fault("writing", &path))?;
    }
    Ok(())
}
