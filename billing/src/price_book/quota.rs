//! What an organization holds against what a plan allows it to hold.

use super::plan::Plan;
use serde::{Deserialize, Serialize};

/// Something of which a plan allows so much at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    Databases,
    /// Compute of the largest database, milli-vCPU.
    DatabaseMilliVcpu,
    Regions,
    Members,
    PointInTimeDays,
    /// Databases whose commits wait for the archive.
    S3Databases,
}

/// What an organization has, or would have after a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    pub databases: u32,
    /// Compute of its largest database.
    pub database_milli_vcpu: u32,
    pub regions: u32,
    pub members: u32,
    /// Longest point-in-time window.
    pub point_in_time_days: u32,
    /// Databases whose commits wait for the archive: a plan has that, or none of them.
    pub s3_databases: u32,
}

/// More than a plan allows: this must shrink first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excess {
    pub quota: Quota,
    pub held: u32,
    pub allowed: u32,
}

impl Plan {
    /// `None`: as many as there are databases.
    pub fn s3_databases_max(&self) -> Option<u32> {
        (!self.archive_lag_s3).then_some(0)
    }

    /// What of these holdings is more than the plan allows.
    pub fn excess(&self, held: &Holdings) -> Vec<Excess> {
        let quotas = [
            (Quota::Databases, held.databases, self.databases_max),
            (
                Quota::DatabaseMilliVcpu,
                held.database_milli_vcpu,
                self.database_milli_vcpu_max,
            ),
            (Quota::Regions, held.regions, self.regions_max),
            (Quota::Members, held.members, self.members_max),
            (
                Quota::PointInTimeDays,
                held.point_in_time_days,
                Some(self.point_in_time_days_max),
            ),
            (
                Quota::S3Databases,
                held.s3_databases,
                self.s3_databases_max(),
            ),
        ];
        quotas
            .into_iter()
            .filter_map(|(quota, held, allowed)| {
                let allowed = allowed.filter(|allowed| held > *allowed)?;
                Some(Excess {
                    quota,
                    held,
                    allowed,
                })
            })
            .collect()
    }
}
