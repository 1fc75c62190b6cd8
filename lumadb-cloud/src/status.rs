//! `lumadb-cloud status`: which processes of a data folder run, and whether the control plane's
//! archive was seen to be restorable.

use crate::up::DrillRecord;
use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::process::Processes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) fn print(data: &DataFolder) {
    let processes = Processes::new(data.clone());
    let names = processes.recorded();
    if names.is_empty() {
        println!("No process of {} is recorded.", data.root().display());
    }
    for name in names {
        match processes.find(&name) {
            Some((process, _)) => println!("{name:<40} runs, process {}", process.pid()),
            None => println!("{name:<40} does not run"),
        }
    }
}

/// Prints what the last drill of the control plane's archive found.
pub(crate) fn print_drill(data: &DataFolder) {
    let record = match DrillRecord::read(data) {
        Ok(Some(record)) => record,
        Ok(None) => return,
        Err(error) => {
            println!(
                "What the last drill of the control plane's archive found cannot be read: {error}"
            );
            return;
        }
    };
    let Some(drill) = record.last else {
        println!(
            "The control plane's archive is drilled first at {}",
            moment(record.due_at)
        );
        return;
    };
    let at = moment(drill.ended_at);
    match (drill.fault, drill.rto_ms) {
        (Some(fault), _) => {
            println!("The control plane's archive FAILED its drill at {at}: {fault}");
        }
        (None, rto) => println!(
            "The control plane's archive was restored at {at} in {:.1} s, {} tables and {} indexes \
             without a fault",
            std::time::Duration::from_millis(rto.unwrap_or_default()).as_secs_f64(),
            drill.tables_checked,
            drill.indexes_checked
        ),
    }
}

/// To the second.
fn moment(at: OffsetDateTime) -> String {
    let at = at.truncate_to_second();
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}
