//! The instance, and who its pod is.

use super::{database_name, instance_name, metadata, stamp};
use crate::api::{InstanceRole, LumaDatabase, LumaInstance, LumaInstanceSpec};
use k8s_openapi::api::core::v1::ServiceAccount;

/// The one instance of a database.
pub fn instance(database: &LumaDatabase) -> LumaInstance {
    let spec = LumaInstanceSpec {
        database: database_name(database),
        ordinal: 1,
        role: InstanceRole::Primary,
    };
    let mut instance = LumaInstance::new(&instance_name(database), spec);
    instance.metadata = metadata(database, instance_name(database));
    stamp(instance)
}

/// Who the node of a database is to the operator: one account a database, without any right. Its
/// token is mounted for the node alone.
pub fn service_account(database: &LumaDatabase) -> ServiceAccount {
    stamp(ServiceAccount {
        metadata: metadata(database, database_name(database)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}
