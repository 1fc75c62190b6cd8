//! What the control plane's database shall be: made once and kept beside it, since its roles have
//! passwords that nobody knows.

use super::super::error::UpError;
use super::super::folder::{read_optional, replace};
use super::{COMPUTE, CONNECTIONS_MAX, LOGICAL_DATABASE};
use lumadb_contract::archive::{ArchiveSpec, RestoreSpec};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::instance::{InstanceSpec, LogicalDatabaseSpec, RoleSpec, RunState};
use lumadb_contract::network::AllowedNetworks;
use lumadb_control_plane::clock::Clock;
use lumadb_control_plane::identity::{random, scram};
use lumadb_control_plane::runtime::local::layout::DataFolder;
use std::path::PathBuf;
use std::sync::Arc;

/// The spec and its file. What leads into an archive is not kept there: it follows from keys and
/// configuration.
#[derive(Debug)]
pub(super) struct KeptSpec {
    data: DataFolder,
    path: PathBuf,
    spec: InstanceSpec,
}

impl KeptSpec {
    pub(super) fn open(data: &DataFolder, clock: &Clock) -> Result<Self, UpError> {
        let path = data.root().join("control-spec.json");
        let failed = |source| UpError::folder(data.root(), &path, source);
        let spec = match read_optional(&path).map_err(failed)? {
            Some(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into()))?,
            None => new(data, clock)?,
        };
        Ok(Self {
            data: data.clone(),
            path,
            spec,
        })
    }

    /// Without what leads into an archive.
    pub(super) const fn spec(&self) -> &InstanceSpec {
        &self.spec
    }

    /// The next generation, kept before anybody hears of it.
    pub(super) fn next(
        &mut self,
        archive: Option<ArchiveSpec>,
        restore: Option<RestoreSpec>,
    ) -> Result<Arc<InstanceSpec>, UpError> {
        let failed = |source| UpError::folder(self.data.root(), &self.path, source);
        self.spec.generation += 1;
        let text = serde_json::to_vec_pretty(&self.spec).map_err(|error| failed(error.into()))?;
        replace(&self.path, &text).map_err(failed)?;
        Ok(Arc::new(InstanceSpec {
            archive,
            restore,
            ..self.spec.clone()
        }))
    }
}

fn new(data: &DataFolder, clock: &Clock) -> Result<InstanceSpec, UpError> {
    let other = |error: &dyn std::error::Error| UpError::explain(data.root(), error);
    let password = random::role_password().map_err(|error| other(&error))?;
    let owner = "owner".parse().map_err(|error| other(&error))?;
    Ok(InstanceSpec {
        database_id: DatabaseId::from_uuid(clock.new_uuid()),
        serves_database_id: None,
        generation: 0,
        engine_version: 18,
        run: RunState::Running,
        compute: COMPUTE,
        connections_max: CONNECTIONS_MAX,
        route_number: 1,
        roles: vec![RoleSpec {
            name: owner,
            verifier: scram::fresh_verifier(&password).map_err(|error| other(&error))?,
            owner: true,
        }],
        logical_databases: vec![LogicalDatabaseSpec {
            name: LOGICAL_DATABASE.parse().map_err(|error| other(&error))?,
            owner: "owner".parse().map_err(|error| other(&error))?,
        }],
        allowed_networks: AllowedNetworks::default(),
        tls: None,
        edges: None,
        archive: None,
        restore: None,
    })
}
