//! What an engine at rest holds, so that its next start lets clients in before it is asked.
//!
//! Written once the engine has ended in order, and by whoever prepares a new data folder; taken away
//! by the node that starts it next. A node that finds none, because the one before was killed,
//! applies the spec before it takes clients. It is a hint about time and not about rights: what the
//! spec says is applied in any case, and who may come in is decided by the spec's verifiers alone.

use super::instance_dir::InstanceDir;
use lumadb_contract::instance::InstanceSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::PermissionsExt;

/// Names of the roles that can log in and of the logical databases made by the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRest {
    roles: BTreeSet<String>,
    logical_databases: BTreeSet<String>,
}

impl AtRest {
    pub(super) fn new(role: &str, logical_database: &str) -> Self {
        Self {
            roles: [role.to_owned()].into(),
            logical_databases: [logical_database.to_owned()].into(),
        }
    }

    /// What an engine holds in which this spec is in force.
    pub fn of(spec: &InstanceSpec) -> Self {
        Self {
            roles: spec.roles.iter().map(|it| it.name.to_string()).collect(),
            logical_databases: spec
                .logical_databases
                .iter()
                .map(|it| it.name.to_string())
                .collect(),
        }
    }

    /// Leaves it for the next node, which is of the same group.
    pub fn leave(&self, instance: &InstanceDir) -> io::Result<()> {
        let path = instance.at_rest();
        let beside = path.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(self)?)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o640))?;
        std::fs::rename(beside, path)
    }

    /// Takes it away. `None`: it is not there, or cannot be taken and so not believed.
    pub fn take(instance: &InstanceDir) -> Option<Self> {
        let path = instance.at_rest();
        let text = std::fs::read(&path).ok()?;
        std::fs::remove_file(&path).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_believed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("run")).expect("makes");
        let instance = InstanceDir::open(folder.path()).expect("opens");
        assert_eq!(AtRest::take(&instance), None);
        let left = AtRest::new("owner", "main");
        left.leave(&instance).expect("leaves");
        assert_eq!(AtRest::take(&instance), Some(left));
        assert_eq!(AtRest::take(&instance), None);
    }
}
