//! `lumadb-cloud status`: which processes of a data folder run.

use lumadb_control_plane::runtime::local::layout::DataFolder;
use lumadb_control_plane::runtime::local::process::Processes;

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
