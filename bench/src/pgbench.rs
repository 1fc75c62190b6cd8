//! Runs `pgbench` against one address and reads what it did.

use crate::process::cpu_time_of;
use lumadb_e2e::{Outcome, tools};
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// Connections that work at once.
pub(crate) const CLIENTS: u32 = 8;

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

/// Runs a workload for a while.
pub(crate) async fn run(address: &Address, workload: Workload, span: Duration) -> Outcome<Run> {
    let before = cpu_time_of(&address.relays)?;
    let seconds = span.as_secs().max(1).to_string();
    let clients = CLIENTS.to_string();
    let mut command = command(address)?;
    command
        .args(workload.arguments())
        .args(["-n", "-c", &clients, "-j", "2", "-T", &seconds]);
    let printed = tools::run(&mut command).await?;
    let cpu = cpu_time_of(&address.relays)?.saturating_sub(before);
    let transactions = number_after(&printed, "number of transactions actually processed: ")?;
    if number_after(&printed, "number of failed transactions: ").unwrap_or(0.0) > 0.0 {
        return Err(format!("transactions failed:\n{printed}").into());
    }
    Ok(Run {
        transactions_per_second: number_after(&printed, "tps = ")?,
        relay_cpu_us: cpu.as_secs_f64() * 1e6 / transactions,
    })
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
}
