//! Logs, and traces to a collector where one is configured.

use crate::config::Config;
use lumadb_control_plane::runtime::local::process::LOG_BYTES_MAX;
use lumadb_data_plane::log::BoundedLog;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::fs::File;
use std::sync::Arc;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    #[error("the log level `{0}` is not right: {1}")]
    Level(String, tracing_subscriber::filter::ParseError),
    #[error("the collector of traces cannot be used: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("standard error cannot be used: {0}")]
    StandardError(#[from] std::io::Error),
    #[error("logs were set up twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends what is left of the traces when dropped.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider {
            let _ = provider.shutdown();
        }
    }
}

/// Libraries that are silent unless the level names them. That of S3 calls every answer an error that
/// is one by its number, even *there is no such object*, of which an archive's writer asks all the
/// time; that of Kubernetes says of each failure what whoever asked says, too.
const SILENT: [&str; 2] = ["s3s", "kube_client"];

/// What is logged.
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let silent = SILENT.iter().filter(|library| !level.contains(**library));
    let directives = silent.fold(level.to_owned(), |all, library| {
        format!("{all},{library}=off")
    });
    EnvFilter::try_new(directives)
}

/// Begins to log into `file`, or to standard error. Must be called inside the async runtime when traces are exported.
pub(crate) fn start(
    service: &'static str,
    config: &Config,
    file: Option<File>,
) -> Result<Telemetry, TelemetryError> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| config.log.level.clone());
    let filter = filter(&level).map_err(|error| TelemetryError::Level(level.clone(), error))?;
    let log = match file {
        Some(file) => BoundedLog::new(file, LOG_BYTES_MAX),
        None => BoundedLog::standard_error()?,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Arc::new(log))
        .with_ansi(false);
    let lines = if config.log.json {
        lines.json().boxed()
    } else {
        lines.boxed()
    };
    let endpoint = config
        .telemetry
        .otlp_endpoint
        .clone()
        .or_else(|| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok());
    let provider = match endpoint {
        Some(endpoint) => {
            let exporter = SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()?;
            let resource = Resource::builder().with_service_name(format!("lumadb-{service}"));
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_resource(resource.build());
            Some(provider.build())
        }
        None => None,
    };
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("lumadb")));
    tracing_subscriber::registry()
        .with(traces)
        .with(lines)
        .with(filter)
        .try_init()?;
    Ok(Telemetry { provider })
}
