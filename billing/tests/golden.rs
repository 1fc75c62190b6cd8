//! Golden invoices: `golden/<name>.toml` says what was used, `golden/<name>.txt` what it costs.
//! `LUMADB_GOLDEN=write` writes the texts anew.

use crate::support::documents::documents;
use crate::support::scenario::Scenario;
use crate::support::{agrees, here, render};
use std::path::PathBuf;

/// As many as were promised, at the least.
const SCENARIOS_MIN: usize = 40;

/// Every scenario with its file, by name.
pub(crate) fn scenarios() -> Vec<(PathBuf, Scenario)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(here("golden"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a scenario");
        let scenario = toml::from_str(&text).map_err(|error| (path.clone(), error));
        let scenario = scenario.expect("a scenario");
        (path, scenario)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn invoices_are_as_promised() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= SCENARIOS_MIN, "{}", scenarios.len());
    let mut wrong = Vec::new();
    for (path, scenario) in scenarios {
        let made = render::scenario(&scenario, &documents(&scenario));
        if !agrees(&path.with_extension("txt"), &made) {
            wrong.push(format!("{}:\n{made}", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "not what was promised. If the change is meant, run with LUMADB_GOLDEN=write.\n\n{}",
        wrong.join("\n")
    );
}
