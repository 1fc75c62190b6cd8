//! The volume: made once, grown when it is asked for or fills up, and never replaced.

use super::{Action, Observed, differs};
use crate::api::{Autogrow, ByteSize, StorageStatus, VolumeReport};
use crate::build;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimCondition, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

/// A volume that grows by itself grows by a quarter, and at least by this.
const STEP_BYTES_MIN: u64 = 1 << 30;

/// A file system that holds less than this of its volume is one that the growth has not reached yet.
const REPORT_PERCENT_MIN: u64 = 88;

/// Why there is no volume to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It ends by itself.
    Waiting(&'static str, String),
    /// A person has to do something.
    Stalled(&'static str, String),
}

#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) creation: Option<Action>,
    pub(super) growth: Option<Action>,
    /// Lets the pod's machine know of a growth.
    pub(super) mark: Option<Action>,
    pub(super) trouble: Option<Trouble>,
    pub(super) status: StorageStatus,
    /// The cluster has not granted yet what was asked for.
    pub(super) grows: bool,
    /// It fills up and cannot grow.
    pub(super) low: Option<String>,
}

impl Storage {
    pub(super) fn is_usable(&self) -> bool {
        self.trouble.is_none()
    }
}

pub(super) fn decide(observed: &Observed) -> Storage {
    let database = &observed.database;
    let asked = database.spec.storage.size;
    let recorded = database
        .status
        .as_ref()
        .and_then(|status| status.storage.clone())
        .unwrap_or_default();
    let mut storage = Storage {
        creation: None,
        growth: None,
        mark: None,
        trouble: None,
        status: recorded.clone(),
        grows: false,
        low: None,
    };
    let Some(claim) = observed.claim.as_deref() else {
        match &recorded.volume_name {
            Some(volume) => storage.trouble = Some(lost(volume)),
            None => {
                storage.creation = Some(Action::ApplyClaim {
                    claim: Box::new(build::claim(database, asked)),
                    grows_to: None,
                });
            }
        }
        return storage;
    };
    let bound = claim
        .spec
        .as_ref()
        .and_then(|spec| spec.volume_name.clone());
    storage.trouble = trouble(claim, bound.as_deref(), recorded.volume_name.as_deref());
    if storage.trouble.is_some() {
        return storage;
    }
    let requested = requested_bytes(claim);
    let capacity = capacity_bytes(claim);
    let report = observed
        .instance
        .as_deref()
        .and_then(|instance| instance.status.as_ref()?.volume);
    let room = Room {
        requested: requested.unwrap_or(asked.bytes()),
        capacity,
    };
    let growth = grow(room, report, database.spec.storage.autogrow.as_ref());
    let size = match growth {
        Growth::To(size) => size.max(asked),
        _ if room.requested > asked.bytes() => ByteSize::gibibytes_over(room.requested),
        _ => asked,
    };
    let wanted = build::claim(database, size);
    if differs(&wanted, Some(claim)) {
        storage.growth = Some(Action::ApplyClaim {
            claim: Box::new(wanted),
            grows_to: matches!(growth, Growth::To(_)).then_some(size),
        });
    }
    storage.mark = mark(claim, observed.pod.as_deref());
    if let Growth::Ended(text) = growth {
        storage.low = Some(text);
    }
    storage.grows = bound.is_some() && capacity.is_some_and(|capacity| capacity < size.bytes());
    storage.status = StorageStatus {
        volume_name: bound.or(recorded.volume_name),
        capacity: claim
            .status
            .as_ref()
            .and_then(|status| Some(status.capacity.as_ref()?.get("storage")?.0.clone())),
        requested: Some(size),
    };
    storage
}

fn lost(volume: &str) -> Trouble {
    Trouble::Stalled(
        "VolumeLost",
        format!(
            "the claim of volume {volume} is gone, and an empty volume does not take its place: \
             bring the claim back, or make a new database out of the archive"
        ),
    )
}

fn trouble(
    claim: &PersistentVolumeClaim,
    bound: Option<&str>,
    recorded: Option<&str>,
) -> Option<Trouble> {
    if claim.metadata.deletion_timestamp.is_some() {
        let text = "the claim of the volume is being deleted: it lasts as long as its pod, which is \
                    neither ended nor made anew";
        let text = text.to_owned();
        return Some(Trouble::Waiting("ClaimTerminating", text));
    }
    if let (Some(bound), Some(recorded)) = (bound, recorded)
        && bound != recorded
    {
        let text = format!(
            "the claim is bound to volume {bound}, and the database lies on volume {recorded}"
        );
        return Some(Trouble::Stalled("VolumeReplaced", text));
    }
    let phase = claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    (phase == Some("Lost")).then(|| lost(bound.unwrap_or_default()))
}

/// What a claim asks for, and what its volume holds, bytes.
#[derive(Debug, Clone, Copy)]
struct Room {
    requested: u64,
    capacity: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Growth {
    None,
    To(ByteSize),
    /// It fills up, and there is no more to be had.
    Ended(String),
}

/// Whether the volume grows, by what was last reported of it. A report of before the last growth
/// does not make it grow again.
fn grow(room: Room, report: Option<VolumeReport>, autogrow: Option<&Autogrow>) -> Growth {
    let (Some(capacity), Some(report)) = (room.capacity, report) else {
        return Growth::None;
    };
    let threshold = autogrow.map_or(90, |autogrow| autogrow.threshold_percent);
    let percent = report.used_bytes.saturating_mul(100) / report.capacity_bytes.max(1);
    if percent < u64::from(threshold) {
        return Growth::None;
    }
    let Some(autogrow) = autogrow else {
        let text = format!("{percent} % of the volume are used, and it does not grow by itself");
        return Growth::Ended(text);
    };
    if room.requested >= autogrow.maximum.bytes() {
        let text = format!(
            "{percent} % of the volume are used, and it grows to {} at most",
            autogrow.maximum
        );
        return Growth::Ended(text);
    }
    let under_way = capacity < room.requested;
    let late = report.capacity_bytes / 100 < capacity / 100 * REPORT_PERCENT_MIN / 100;
    if under_way || late {
        return Growth::None;
    }
    let step = (room.requested / 4).max(STEP_BYTES_MIN);
    let grown = ByteSize::gibibytes_over(room.requested.saturating_add(step));
    Growth::To(grown.min(autogrow.maximum))
}

/// A volume that has grown waits for the machine of its pod, which lets the file system grow when it
/// looks at the pod: by itself every minute or so, and at once when the pod has changed. It is changed
/// once for each size.
fn mark(claim: &PersistentVolumeClaim, pod: Option<&Pod>) -> Option<Action> {
    let conditions = claim.status.as_ref()?.conditions.as_ref()?;
    let waits = |condition: &PersistentVolumeClaimCondition| {
        condition.type_ == "FileSystemResizePending" && condition.status == "True"
    };
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    let volume = &resources.requests.as_ref()?.get("storage")?.0;
    let pod = pod.filter(|pod| pod.metadata.deletion_timestamp.is_none())?;
    let is_news = conditions.iter().any(waits) && build::marked(pod) != Some(volume);
    is_news.then(|| Action::MarkPod {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        volume: volume.clone(),
    })
}

fn requested_bytes(claim: &PersistentVolumeClaim) -> Option<u64> {
    let resources = claim.spec.as_ref()?.resources.as_ref()?;
    bytes(resources.requests.as_ref()?.get("storage")?)
}

fn capacity_bytes(claim: &PersistentVolumeClaim) -> Option<u64> {
    bytes(claim.status.as_ref()?.capacity.as_ref()?.get("storage")?)
}

/// A whole quantity in any of Kubernetes' units.
fn bytes(quantity: &Quantity) -> Option<u64> {
    let text = quantity.0.as_str();
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor: u64 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn report(capacity_gib: u64, used_percent: u64) -> VolumeReport {
        let capacity_bytes = capacity_gib * GIB * 97 / 100;
        VolumeReport {
            capacity_bytes,
            used_bytes: capacity_bytes / 100 * used_percent,
        }
    }

    fn room(requested_gib: u64, capacity_gib: u64) -> Room {
        Room {
            requested: requested_gib * GIB,
            capacity: Some(capacity_gib * GIB),
        }
    }

    const UP_TO_20: Option<&Autogrow> = Some(&Autogrow {
        maximum: ByteSize::gibibytes(20),
        threshold_percent: 75,
    });

    #[test]
    fn a_volume_grows_before_it_is_full_and_also_when_it_is() {
        assert_eq!(
            grow(room(8, 8), Some(report(8, 70)), UP_TO_20),
            Growth::None
        );
        for used in [76, 90, 99, 100] {
            assert_eq!(
                grow(room(8, 8), Some(report(8, used)), UP_TO_20),
                Growth::To(ByteSize::gibibytes(10))
            );
        }
        assert_eq!(
            grow(room(1, 1), Some(report(1, 80)), UP_TO_20),
            Growth::To(ByteSize::gibibytes(2))
        );
    }

    #[test]
    fn it_grows_once_for_one_report() {
        // Asked for and not granted yet; then granted, and the report is from before.
        assert_eq!(
            grow(room(10, 8), Some(report(8, 99)), UP_TO_20),
            Growth::None
        );
        assert_eq!(
            grow(room(10, 10), Some(report(8, 99)), UP_TO_20),
            Growth::None
        );
        assert_eq!(
            grow(room(10, 10), Some(report(10, 99)), UP_TO_20),
            Growth::To(ByteSize::gibibytes(13))
        );
    }

    #[test]
    fn it_ends_at_the_maximum_and_says_so() {
        assert_eq!(
            grow(room(18, 18), Some(report(18, 80)), UP_TO_20),
            Growth::To(ByteSize::gibibytes(20))
        );
        let ended = grow(room(20, 20), Some(report(20, 96)), UP_TO_20);
        assert!(matches!(ended, Growth::Ended(text) if text.contains("20Gi")));
        assert!(matches!(
            grow(room(8, 8), Some(report(8, 96)), None),
            Growth::Ended(_)
        ));
        assert_eq!(grow(room(8, 8), None, UP_TO_20), Growth::None);
    }

    #[test]
    fn quantities_of_any_unit_are_read() {
        for (text, expected) in [
            ("10Gi", Some(10 * GIB)),
            ("5G", Some(5_000_000_000)),
            ("1024", Some(1024)),
            ("1.5Gi", None),
            ("", None),
        ] {
            assert_eq!(bytes(&Quantity(text.into())), expected, "{text}");
        }
    }
}
