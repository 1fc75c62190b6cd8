//! Measures what we promise beside what others offer, in the same run on the same machine.
//!
//! Each section prints ratios first: absolute numbers belong to the machine, ratios travel. What is
//! compared is run in interleaved rounds and reported as the median, with the range of the ratios;
//! a bar that is missed is printed as missed. The programs measured are separate processes, built
//! for release and found in the folder that `LUMADB_TEST_BIN` names.

mod archived;
mod by_hand;
mod client;
mod pgbench;
mod process;
mod programs;
mod report;
mod rig;
mod sample;
mod section;
mod world;

use clap::{Parser, ValueEnum};
use lumadb_e2e::{Outcome, tools};
use report::Report;
use section::Settings;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Section {
    /// Creating and waking, to the first answer
    Connect,
    /// Relays beside PgBouncer: throughput and CPU
    Pgbench,
    /// Memory of nodes, connections and many databases
    Memory,
    /// Reads and creations a second
    Api,
    /// From cold to the console
    Up,
    /// Backups and restores beside pgBackRest
    Backup,
    /// Samples taken in, months closed
    Billing,
    /// Databases as pods of a real Kubernetes on this machine, which is made as root
    Kubelet,
    /// The operator of a cluster with thousands of databases, on nodes that are played
    Kwok,
}

impl Section {
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Pgbench => "pgbench",
            Self::Memory => "memory",
            Self::Api => "api",
            Self::Up => "up",
            Self::Backup => "backup",
            Self::Billing => "billing",
            Self::Kubelet => "kubelet",
            Self::Kwok => "kwok",
        }
    }

    async fn measure(self, settings: &Settings) -> Outcome<Vec<report::Row>> {
        match self {
            Self::Connect => section::connect::measure(settings).await,
            Self::Pgbench => section::relay::measure(settings).await,
            Self::Memory => section::memory::measure(settings).await,
            Self::Api => section::api::measure(settings).await,
            Self::Up => section::up::measure(settings).await,
            Self::Backup => section::backup::measure(settings).await,
            Self::Billing => section::billing::measure(settings).await,
            Self::Kubelet => section::kubelet::measure(settings).await,
            Self::Kwok => section::kwok::measure(settings).await,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    Node,
    Edge,
}

/// Measures this build beside its peers and prints one table.
#[derive(Debug, Parser)]
#[command(name = "lumadb-bench")]
struct Arguments {
    /// What to measure; everything if none is given
    sections: Vec<Section>,
    /// Fewer and shorter rounds: for a look, not for a claim
    #[arg(long)]
    quick: bool,
    /// Interleaved rounds
    #[arg(long)]
    rounds: Option<usize>,
    /// Databases created in turn, to the first answer of each
    #[arg(long)]
    creations: Option<usize>,
    /// Length of one run of pgbench, seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Of the relays, only the node alone or only those behind an edge
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Only workloads of pgbench whose name holds this, such as `prepared`
    #[arg(long)]
    workload: Option<String>,
    /// Only with TLS (true) or only without (false)
    #[arg(long)]
    tls: Option<bool>,
    /// Time under pgbench before the node's memory is read, seconds
    #[arg(long)]
    soak_seconds: Option<u64>,
    /// Databases awake at once
    #[arg(long)]
    awake: Option<usize>,
    /// Databases asleep at once
    #[arg(long)]
    asleep: Option<usize>,
    /// Size of the database that is backed up and restored, MiB
    #[arg(long)]
    backup_mib: Option<u32>,
    /// Organizations whose month is closed
    #[arg(long)]
    organizations: Option<usize>,
    /// Time in which requests to the archive are counted, seconds
    #[arg(long)]
    puts_seconds: Option<u64>,
    /// Databases in a cluster, and as many nodes that are played; several counts are measured in turn
    #[arg(long, value_delimiter = ',')]
    in_cluster: Vec<usize>,
    /// Changes of databases in a cluster, one after the other
    #[arg(long)]
    changes: Option<usize>,
    /// Time in which an operator's requests at rest are counted, seconds
    #[arg(long)]
    rest_seconds: Option<u64>,
    /// Folder for the table as Markdown and JSON
    #[arg(long, default_value_os_t = tools::workspace().join("target/bench"))]
    out: PathBuf,
}

impl Arguments {
    fn settings(&self) -> Settings {
        let mut settings = Settings::new(self.quick);
        settings.rounds = self.rounds.unwrap_or(settings.rounds);
        settings.creations = self.creations.unwrap_or(settings.creations);
        settings.span = self.seconds.map_or(settings.span, Duration::from_secs);
        settings.soak = self.soak_seconds.map_or(settings.soak, Duration::from_secs);
        settings.awake = self.awake.unwrap_or(settings.awake);
        settings.asleep = self.asleep.unwrap_or(settings.asleep);
        settings.backup_mib = self.backup_mib.unwrap_or(settings.backup_mib);
        settings.organizations = self.organizations.unwrap_or(settings.organizations);
        settings.billing_rounds = self.rounds.unwrap_or(settings.billing_rounds);
        settings.backup_rounds = self.rounds.unwrap_or(settings.backup_rounds);
        settings.puts_span = self
            .puts_seconds
            .map_or(settings.puts_span, Duration::from_secs);
        if !self.in_cluster.is_empty() {
            settings.in_cluster.clone_from(&self.in_cluster);
        }
        settings.changes = self.changes.unwrap_or(settings.changes);
        settings.rest = self.rest_seconds.map_or(settings.rest, Duration::from_secs);
        settings.beside_node = self.only != Some(Only::Edge);
        settings.beside_edge = self.only != Some(Only::Node);
        settings.workload.clone_from(&self.workload);
        settings.tls = self.tls;
        settings
    }

    fn sections(&self) -> Vec<Section> {
        if self.sections.is_empty() {
            return Section::value_variants().to_vec();
        }
        let mut sections = self.sections.clone();
        sections.sort_unstable();
        sections.dedup();
        sections
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked; a section that fails is reported and does not stop the others.
async fn measure(arguments: &Arguments) -> Outcome<bool> {
    let settings = arguments.settings();
    let mut report = Report::new(today(), machine()?, settings.quick);
    for section in arguments.sections() {
        match section.measure(&settings).await {
            Ok(rows) => report.extend(rows),
            Err(error) => {
                eprintln!("error: {}: {error}", section.name());
                let first_line = error.to_string().lines().next().unwrap_or("").to_owned();
                report.missing(format!("{}: {first_line}", section.name()));
            }
        }
    }
    print!("{}", report.to_markdown());
    let name = match arguments.sections.as_slice() {
        [only] => only.name(),
        _ => "bench",
    };
    report.write(&arguments.out, name)?;
    Ok(report.is_complete())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the date of a run is printed and nothing depends on it"
)]
fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}

/// Cores, processor and kernel: what the absolute numbers belong to.
fn machine() -> Outcome<String> {
    let cores = std::thread::available_parallelism()?;
    let processors = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{cores} cores, {model}, Linux {}", kernel.trim()))
}
