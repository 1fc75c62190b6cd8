//! The volume of an instance.

use super::{instance_name, metadata, stamp};
use crate::api::{ByteSize, DeletionPolicy, LumaDatabase};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// The claim for a volume of `size`. Where the volume is retained nobody owns the claim, so that
/// nothing removes it with the database.
pub fn claim(database: &LumaDatabase, size: ByteSize) -> PersistentVolumeClaim {
    let mut metadata = metadata(database, instance_name(database));
    if database.spec.deletion_policy == DeletionPolicy::Retain {
        metadata.owner_references = None;
    }
    stamp(PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".into(),
                    Quantity(size.to_string()),
                )])),
                limits: None,
            }),
            storage_class_name: database.spec.storage.class_name.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    })
}
