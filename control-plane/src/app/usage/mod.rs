//! Usage: samples in, hours and live figures out.
//!
//! Nodes count, and seal totals into samples; [`ingest`] stores each once and folds it, in the same
//! transaction, into the hour in which it was taken. Nothing is rounded on the way: counters are
//! integers, stored bytes are kept as bytes times microseconds.

mod export;
mod fold;
mod intake;
mod live;
mod organization;
mod report;
mod samples;

pub use export::{UsageExportQuery, usage_export};
pub(super) use fold::split_by_hour;
pub use fold::{Folded, Front, Hour, Mark, Refusal};
pub use intake::{IngestError, close, ingest, pass_on, record_span};
pub use live::{LOOK_BACK, Metrics, MetricsPoint, MetricsQuery, metrics_get};
pub use organization::{
    GroupBy, OrganizationUsage, OrganizationUsageItem, OrganizationUsageQuery,
    organization_usage_get,
};
pub use report::{Granularity, Quantities, Usage, UsageItem, UsageQuery, usage_get};
pub use samples::{SampleAdded, SampleView, SamplesQuery, SpanView, UsageSamples, samples_get};
