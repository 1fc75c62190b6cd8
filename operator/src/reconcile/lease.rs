//! One operator works at a time: who holds the lease.
//!
//! A lease is a gate and no fence: an operator that was stopped for long may wake up and finish a
//! write that it had begun. Every write stands that: it may be done twice, and by two at once.
//!
//! Clocks are not compared: a lease has run out when this process has seen it unchanged for as long
//! as it is given.

use super::metrics::Metrics;
use crate::clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const NAME: &str = "lumadb-operator";

/// How long a lease holds that is not renewed.
const DURATION: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Whoever could not renew for so long stops, well before another may begin.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_EVERY: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The lease, and who wants it.
pub(super) struct Gate {
    api: Api<Lease>,
    identity: String,
    metrics: Arc<Metrics>,
}

/// What was last seen of a lease that another holds.
struct Seen {
    mark: (Option<String>, Option<MicroTime>),
    since: Instant,
}

impl Gate {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        identity: String,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity,
            metrics,
        }
    }

    /// Waits until the lease is ours.
    pub(super) async fn acquire(&self) -> Lease {
        let mut seen = None;
        loop {
            match timeout(ANSWER_TIMEOUT, self.try_acquire(&mut seen)).await {
                Ok(Ok(taken)) => {
                    self.metrics.connected.store(true, Relaxed);
                    if let Some(lease) = taken {
                        return lease;
                    }
                }
                Ok(Err(error)) => {
                    self.metrics.connected.store(false, Relaxed);
                    tracing::warn!(%error, "the lease could not be asked for");
                }
                Err(_) => {
                    self.metrics.connected.store(false, Relaxed);
                    tracing::warn!("the lease could not be asked for in time");
                }
            }
            sleep(RETRY_EVERY).await;
        }
    }

    async fn try_acquire(&self, seen: &mut Option<Seen>) -> Result<Option<Lease>, kube::Error> {
        let found = self.api.get_opt(NAME).await?;
        let taken = match found {
            None => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(NAME.into()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(self.held(None)),
                };
                self.api.create(&PostParams::default(), &lease).await
            }
            Some(lease) => {
                let spec = lease.spec.clone().unwrap_or_default();
                let mark = (spec.holder_identity.clone(), spec.renew_time.clone());
                let unchanged = match seen {
                    Some(before) if before.mark == mark => before.since.elapsed(),
                    _ => {
                        let since = Instant::now();
                        *seen = Some(Seen { mark, since });
                        Duration::ZERO
                    }
                };
                if !may_take(&spec, &self.identity, unchanged) {
                    return Ok(None);
                }
                let lease = Lease {
                    spec: Some(self.held(Some(&spec))),
                    ..lease
                };
                self.api.replace(NAME, &PostParams::default(), &lease).await
            }
        };
        match taken {
            Ok(lease) => Ok(Some(lease)),
            // Another was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn held(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(clock::now());
        let ours = before.is_some_and(|before| {
            before.holder_identity.as_deref() == Some(self.identity.as_str())
        });
        let transitions = before.and_then(|before| before.lease_transitions);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: before
                .filter(|_| ours)
                .and_then(|before| before.acquire_time.clone())
                .or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(
                transitions.unwrap_or(0) + i32::from(before.is_some() && !ours),
            ),
            ..LeaseSpec::default()
        }
    }

    /// Keeps the lease; ends once it is lost.
    pub(super) async fn keep(&self, mut lease: Lease) {
        let mut renewed = Instant::now();
        while renewed.elapsed() < RENEW_DEADLINE {
            sleep(if self.metrics.connected.load(Relaxed) {
                RENEW_EVERY
            } else {
                RETRY_EVERY
            })
            .await;
            let begun = Instant::now();
            match timeout(ANSWER_TIMEOUT, self.renew(&lease)).await {
                Ok(Ok(Some(next))) => {
                    lease = next;
                    renewed = begun;
                    self.metrics.connected.store(true, Relaxed);
                }
                Ok(Ok(None)) => return,
                Ok(Err(error)) => {
                    self.metrics.connected.store(false, Relaxed);
                    tracing::warn!(%error, "the lease was not renewed");
                }
                Err(_) => {
                    self.metrics.connected.store(false, Relaxed);
                    tracing::warn!("the lease was not renewed in time");
                }
            }
        }
    }

    /// `None`: it is another's.
    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, kube::Error> {
        let spec = lease.spec.clone().unwrap_or_default();
        let next = Lease {
            spec: Some(self.held(Some(&spec))),
            ..lease.clone()
        };
        match self.api.replace(NAME, &PostParams::default(), &next).await {
            Ok(lease) => Ok(Some(lease)),
            // Changed since: perhaps by a renewal of ours whose answer was lost.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let found = self.api.get(NAME).await?;
                let holder = found
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.holder_identity.as_deref());
                Ok((holder == Some(self.identity.as_str())).then_some(found))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the lease back, so that another need not wait for it to run out.
    pub(super) async fn release(&self) {
        let released = timeout(ANSWER_TIMEOUT, async {
            let mut lease = self.api.get(NAME).await?;
            if let Some(spec) = &mut lease.spec
                && spec.holder_identity.as_deref() == Some(self.identity.as_str())
            {
                spec.holder_identity = None;
                self.api
                    .replace(NAME, &PostParams::default(), &lease)
                    .await?;
            }
            Ok::<_, kube::Error>(())
        });
        match released.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "the lease was not given back"),
            Err(_) => tracing::info!("the lease was not given back in time"),
        }
    }
}

/// Whether a lease is free, ours already, or was not renewed for as long as it is given.
fn may_take(spec: &LeaseSpec, identity: &str, unchanged: Duration) -> bool {
    match spec.holder_identity.as_deref() {
        None | Some("") => true,
        Some(holder) if holder == identity => true,
        Some(_) => {
            let given = spec
                .lease_duration_seconds
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map_or(DURATION, Duration::from_secs);
            unchanged > given
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_when_it_is_free_ours_or_run_out() {
        let held = LeaseSpec {
            holder_identity: Some("other".into()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        let seconds = Duration::from_secs;
        assert!(may_take(&LeaseSpec::default(), "me", seconds(0)));
        assert!(may_take(&held, "other", seconds(0)));
        assert!(!may_take(&held, "me", seconds(15)));
        assert!(may_take(&held, "me", seconds(16)));
    }
}
