//! What a namespace's nodes verify the operator with.

use super::{AUTHORITY_FILE, AUTHORITY_NAME, FIELD_MANAGER, MANAGED_BY_LABEL, stamp};
use crate::api::LumaDatabase;
use crate::settings::Settings;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::core::ObjectMeta;
use std::collections::BTreeMap;

/// The certificate of the cluster's own authority, for every pod in the database's namespace. It is
/// no database's, and stays when the last is gone.
pub fn authority(database: &LumaDatabase, settings: &Settings) -> ConfigMap {
    let certificate = settings.node_authority.clone();
    stamp(ConfigMap {
        metadata: ObjectMeta {
            name: Some(AUTHORITY_NAME.into()),
            namespace: database.namespace(),
            labels: Some(BTreeMap::from([(
                MANAGED_BY_LABEL.into(),
                FIELD_MANAGER.into(),
            )])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(AUTHORITY_FILE.into(), certificate)])),
        ..ConfigMap::default()
    })
}
