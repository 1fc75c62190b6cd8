//! Counts of requests, in the text format of Prometheus.

use crate::app::state::DrillState;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

/// Upper bounds of the histogram's buckets, milliseconds.
const BUCKETS_MS: [u64; 9] = [5, 10, 25, 50, 100, 250, 500, 1000, 5000];

/// Requests of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<Series, Histogram>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    /// Never the path itself: it has identifiers and no bound.
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, Default)]
struct Histogram {
    buckets: [u64; BUCKETS_MS.len()],
    count: u64,
    sum: Duration,
}

impl Metrics {
    /// Counts an answered request. `route` is the pattern that matched.
    pub fn record(&self, route: &str, method: &http::Method, status: u16, took: Duration) {
        let series = Series {
            route: route.to_owned(),
            method: method_label(method),
            status,
        };
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut requests = match self.requests.lock() {
            Ok(requests) => requests,
            Err(poisoned) => poisoned.into_inner(),
        };
        let histogram = requests.entry(series).or_default();
        histogram.count += 1;
        histogram.sum += took;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BUCKETS_MS) {
            *bucket += u64::from(took_ms <= bound);
        }
    }

    /// The whole page that a scraper reads.
    pub fn render(&self) -> String {
        let requests = match self.requests.lock() {
            Ok(requests) => requests.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        let mut out = String::from(
            "# HELP lumadb_http_request_duration_seconds Time from a request's head to its \
             answer's head.\n# TYPE lumadb_http_request_duration_seconds histogram\n",
        );
        let name = "lumadb_http_request_duration_seconds";
        for (series, histogram) in &requests {
            let labels = format!(
                "route=\"{}\",method=\"{}\",status=\"{}\"",
                series.route, series.method, series.status
            );
            for (count, bound) in histogram.buckets.iter().zip(BUCKETS_MS) {
                let seconds = Duration::from_millis(bound).as_secs_f64();
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{seconds}\"}} {count}");
            }
            let (count, sum) = (histogram.count, histogram.sum.as_secs_f64());
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}");
            let _ = writeln!(out, "{name}_count{{{labels}}} {count}");
        }
        out
    }
}

/// How the last drills of databases ended: any that failed is an alarm.
pub(super) fn render_drills(counts: &[(DrillState, i64)]) -> String {
    let name = "lumadb_databases_by_last_drill";
    let mut out = format!(
        "# HELP {name} Databases by how their last restore drill ended.\n# TYPE {name} gauge\n"
    );
    for (state, databases) in counts {
        let _ = writeln!(out, "{name}{{state=\"{}\"}} {databases}", state.as_str());
    }
    out
}

fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_route_method_and_status() {
        let metrics = Metrics::default();
        let took = Duration::from_millis(7);
        metrics.record("/v1/me", &http::Method::GET, 200, took);
        metrics.record(
            "/v1/me",
            &http::Method::from_bytes(b"ODD").expect("token"),
            405,
            took,
        );
        let text = metrics.render();
        let labels = "route=\"/v1/me\",method=\"GET\",status=\"200\"";
        for line in [
            format!("_bucket{{{labels},le=\"0.005\"}} 0"),
            format!("_bucket{{{labels},le=\"0.01\"}} 1"),
            format!("_bucket{{{labels},le=\"+Inf\"}} 1"),
            format!("_sum{{{labels}}} 0.007"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
        assert!(text.contains("method=\"other\",status=\"405\""));
    }
}
