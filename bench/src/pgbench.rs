//! Runs `pgbench` against one address and reads what it did.

use crate::process::cpu_time_of;
use lumadb_e2e::{Outcome, tools};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Connections that work at once.
pub(crate) const CLIENTS: u32 = 8;

/// Left out of the measure at the start of a run.
const WARM_UP: Duration = Duration::from_secs(2);

/// What each transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    SelectSimple,
    SelectPrepared,
    TpcB,
}

impl Workload {
    pub(crate) const ALL: [Self; 3] = [Self::SelectSimple, Self::SelectPrepared, Self::TpcB];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SelectSimple => "-S simple",
            Self::SelectPrepared => "-S prepared",
            Self::TpcB => "TPC-B",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::SelectSimple => &["-S", "-M", "simple"],
            Self::SelectPrepared => &["-S", "-M", "prepared"],
            Self::TpcB => &["-M", "simple"],
        }
    }
}

/// Where a benchmark connects.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// A connection string of libpq, without the password.
    pub(crate) connection: String,
    pub(crate) password: String,
    /// The processes in between, whose CPU time is counted.
    pub(crate) relays: Vec<i32>,
}

/// What one run did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) transactions_per_second: f64,
    /// CPU time of the relays, for each transaction.
    pub(crate) relay_cpu_us: f64,
}

/// Runs a workload, and measures it for `span` once it is warm: a session that has just begun
/// fills its caches, and a pooler's does not, because it was used before.
pub(crate) async fn run(address: &Address, workload: Workload, span: Duration) -> Outcome<Run> {
    run_with(address, workload, CLIENTS, span).await
}

/// The same with so many connections.
pub(crate) async fn run_with(
    address: &Address,
    workload: Workload,
    clients: u32,
    span: Duration,
) -> Outcome<Run> {
    let seconds = (WARM_UP + span).as_secs().to_string();
    let clients = clients.to_string();
    let mut command = command(address)?;
    command
        .args(workload.arguments())
        .args(["-n", "-c", &clients, "-j", "2", "-T", &seconds, "-P", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().ok_or("pgbench has no stderr")?).lines();
    let mut warm = Warm::default();
    let mut said = Vec::new();
    while let Some(line) = stderr.next_line().await? {
        match progress(&line) {
            Some(progress) => warm.add(progress, cpu_time_of(&address.relays)?),
            None => said.push(line),
        }
    }
    let output = child.wait_with_output().await?;
    let printed = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!(
            "pgbench ended with {}:\n{}\n{printed}",
            output.status,
            said.join("\n")
        )
        .into());
    }
    if number_after(&printed, "number of failed transactions: ").unwrap_or(0.0) > 0.0 {
        return Err(format!("transactions failed:\n{printed}").into());
    }
    warm.run()
        .ok_or_else(|| format!("pgbench reported no progress:\n{}", said.join("\n")).into())
}

/// What was done between the end of the warm-up and the last report.
#[derive(Debug, Default)]
struct Warm {
    /// Time of the first report that counts and of the last one, seconds, with the relays' CPU.
    span: Option<((f64, Duration), (f64, Duration))>,
    transactions: f64,
}

impl Warm {
    fn add(&mut self, (time, throughput): (f64, f64), cpu: Duration) {
        if let Some((_, last)) = &mut self.span {
            self.transactions += throughput * (time - last.0);
            *last = (time, cpu);
        } else if time + 0.5 > WARM_UP.as_secs_f64() {
            self.span = Some(((time, cpu), (time, cpu)));
        }
    }

    fn run(&self) -> Option<Run> {
        let ((began, cpu_before), (ended, cpu_after)) = self.span?;
        let cpu_us = cpu_after.saturating_sub(cpu_before).as_secs_f64() * 1e6;
        (ended > began).then(|| Run {
            transactions_per_second: self.transactions / (ended - began),
            relay_cpu_us: cpu_us / self.transactions,
        })
    }
}

/// Seconds since the start and transactions a second since the last report.
fn progress(line: &str) -> Option<(f64, f64)> {
    let (time, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
    let (throughput, _) = rest.split_once(" tps")?;
    Some((time.parse().ok()?, throughput.parse().ok()?))
}

/// Fills the tables.
pub(crate) async fn initialize(address: &Address, scale: u32) -> Outcome<()> {
    let mut command = command(address)?;
    command.args(["-i", "-q", "-s", &scale.to_string()]);
    tools::run(&mut command).await?;
    Ok(())
}

/// A command that opens connections and runs a script once on each.
pub(crate) fn hold_idle(address: &Address, connections: u32, script: &Path) -> Outcome<Command> {
    let mut command = command(address)?;
    let connections = connections.to_string();
    command
        .args(["-n", "-c", &connections, "-j", "1", "-t", "1", "-f"])
        .arg(script);
    Ok(command)
}

fn command(address: &Address) -> Outcome<Command> {
    let mut command = Command::new(tools::pgbench()?);
    command
        .env("PGPASSWORD", &address.password)
        .env("PGCONNECT_TIMEOUT", "20")
        .kill_on_drop(true);
    command.arg(&address.connection);
    Ok(command)
}

fn number_after(printed: &str, marker: &str) -> Outcome<f64> {
    printed
        .split_once(marker)
        .and_then(|(_, rest)| {
            rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.')
                .next()
        })
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("no `{marker}` in:\n{printed}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_pgbench_writes_them() {
        let printed = "number of transactions actually processed: 1201\nnumber of failed \
                       transactions: 0 (0.000%)\ntps = 600.25 (without initial connection time)\n";
        let throughput = number_after(printed, "tps = ").expect("there");
        assert!((throughput - 600.25).abs() < 1e-9);
        let failed = number_after(printed, "number of failed transactions: ");
        assert!(failed.expect("there").abs() < 1e-9);
        assert!(number_after(printed, "latency").is_err());
    }

    #[test]
    fn the_warm_up_is_left_out() {
        let mut warm = Warm::default();
        for (line, cpu_ms) in [
            (
                "progress: 1.0 s, 10.0 tps, lat 0.250 ms stddev 0.034, 0 failed",
                900,
            ),
            (
                "progress: 2.0 s, 50.0 tps, lat 0.250 ms stddev 0.034, 0 failed",
                1000,
            ),
            (
                "progress: 3.0 s, 100.0 tps, lat 0.250 ms stddev 0.034, 0 failed",
                1001,
            ),
            (
                "progress: 4.0 s, 300.0 tps, lat 0.250 ms stddev 0.034, 0 failed",
                1002,
            ),
        ] {
            warm.add(
                progress(line).expect("progress"),
                Duration::from_millis(cpu_ms),
            );
        }
        let run = warm.run().expect("two seconds");
        assert!((run.transactions_per_second - 200.0).abs() < 1e-9);
        assert!((run.relay_cpu_us - 5.0).abs() < 1e-9);
        assert!(progress("pgbench (15.1)").is_none());
    }
}
