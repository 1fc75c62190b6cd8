//! Alerts and dashboards ask for metrics that there are.
//!
//! Prometheus' own reader takes them apart. What the operator gives out is read from one that runs
//! (`cluster.rs`); the others' names are looked for in the sources.

use super::{built, deploy};
use lumadb_e2e::{Outcome, tools};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tokio::process::Command;
use tokio::sync::OnceCell;

static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();

/// One selector of an alert or a panel.
#[derive(Debug, Deserialize)]
pub(super) struct Selected {
    file: String,
    /// The alert or panel.
    of: String,
    metric: String,
    /// Labels that must have one value.
    labels: BTreeMap<String, String>,
}

/// Where Prometheus' reader and the definitions of its operator are.
pub(super) async fn prometheus() -> Outcome<&'static Path> {
    let folder = FOLDER
        .get_or_try_init(|| built("scripts/promql.sh"))
        .await?;
    Ok(folder)
}

fn files(folder: &str) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(deploy().join(folder))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Outcome<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// Whatever is asked for; fails where Prometheus would.
pub(super) async fn selected() -> Outcome<Vec<Selected>> {
    let mut reader = Command::new(prometheus().await?.join("promql"));
    reader.args(files("alerts")?).args(files("dashboards")?);
    let text = tools::run(&mut reader).await?;
    let lines = text.lines();
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

impl Selected {
    pub(super) fn is_operators(&self) -> bool {
        self.metric.starts_with("lumadb_operator_")
    }

    /// What a page of metrics does not have of it.
    pub(super) fn missing_in(&self, page: &str) -> Option<String> {
        let told = format!("# TYPE {} ", self.metric);
        let is_there = page.lines().any(|line| line.starts_with(&told));
        let labels = self.labels.iter().all(|(name, value)| {
            let wanted = format!("{name}=\"{value}\"");
            let mut lines = page.lines();
            lines.any(|line| line.starts_with(&self.metric) && line.contains(&wanted))
        });
        (!is_there || !labels).then(|| {
            let Self {
                file,
                of,
                metric,
                labels,
            } = self;
            format!("{file}: {of} asks for {metric} with {labels:?}")
        })
    }
}

/// Sources of those who give metrics out, apart from the operator.
const SOURCES: [&str; 3] = [
    "data-plane/src/agent/health.rs",
    "data-plane/src/edge/metrics.rs",
    "control-plane/src/http/metrics.rs",
];

/// The source that writes a metric: as a whole word, before its tests.
fn source_of(metric: &str, sources: &[String]) -> Option<usize> {
    // Three series make a histogram.
    let family = ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|part| metric.strip_suffix(part))
        .unwrap_or(metric);
    sources.iter().position(|source| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        source.match_indices(family).any(|(at, _)| {
            let rest = &source.as_bytes()[at + family.len()..];
            !rest.first().copied().is_some_and(is_word)
        })
    })
}

#[tokio::test]
async fn what_alerts_and_dashboards_ask_nodes_edges_and_api_for_is_there() -> Outcome<()> {
    let read = |path: &&str| std::fs::read_to_string(tools::workspace().join(path));
    let mut sources = SOURCES.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for source in &mut sources {
        let tests = source.find("#[cfg(test)]").unwrap_or(source.len());
        source.truncate(tests);
    }
    let states = "control-plane/src/app/state.rs";
    let states = std::fs::read_to_string(tools::workspace().join(states))?;
    let selected = selected().await?;
    for one in selected.iter().filter(|one| !one.is_operators()) {
        let at = source_of(&one.metric, &sources).ok_or_else(|| format!("unknown: {one:?}"))?;
        for (name, value) in &one.labels {
            let source = &sources[at];
            let word = format!("\"{value}\"");
            let is_known = source.contains(&word) || states.contains(&word);
            assert!(source.contains(name) && is_known, "no such label: {one:?}");
        }
    }
    // Each file was read, and asks for something.
    let read: BTreeSet<_> = selected.iter().map(|one| one.file.clone()).collect();
    assert_eq!(
        read.len(),
        files("alerts")?.len() + files("dashboards")?.len()
    );
    Ok(())
}

#[tokio::test]
async fn what_nobody_gives_out_is_found() -> Outcome<()> {
    let one = |metric: &str, labels: &[(&str, &str)]| Selected {
        file: String::new(),
        of: String::new(),
        metric: metric.to_owned(),
        labels: labels
            .iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect(),
    };
    let page = "# TYPE a_total counter\na_total{why=\"b\"} 1\n";
    assert_eq!(one("a_total", &[("why", "b")]).missing_in(page), None);
    assert!(one("a_total", &[("why", "c")]).missing_in(page).is_some());
    assert!(one("a", &[]).missing_in(page).is_some());
    let sources = ["\"lumadb_x_total\"".to_owned()];
    assert_eq!(source_of("lumadb_x_total", &sources), Some(0));
    assert_eq!(source_of("lumadb_x", &sources), None);

    let folder = lumadb_e2e::cloud::new_folder()?;
    let path = folder.path().join("wrong.yaml");
    let rule = "groups: [{name: a, rules: [{alert: A, expr: 'sum by (a (b)'}]}]";
    std::fs::write(&path, rule)?;
    let mut reader = Command::new(prometheus().await?.join("promql"));
    assert!(tools::run(reader.arg(&path)).await.is_err());
    Ok(())
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() -> Outcome<()> {
    let mut names = BTreeSet::new();
    for path in files("alerts")? {
        let text = std::fs::read_to_string(&path)?;
        let file: Value = serde_saphyr::from_str(&text)?;
        for group in file["groups"].as_array().into_iter().flatten() {
            for rule in group["rules"].as_array().into_iter().flatten() {
                let name = rule["alert"].as_str().unwrap_or_default().to_owned();
                for annotation in ["summary", "description"] {
                    assert!(rule["annotations"][annotation].is_string(), "{name}");
                }
                let severity = rule["labels"]["severity"].as_str();
                assert!(matches!(severity, Some("warning" | "critical")), "{name}");
                assert!(names.insert(name.clone()), "{name} is there twice");
            }
        }
    }
    assert!(!names.is_empty());
    Ok(())
}
