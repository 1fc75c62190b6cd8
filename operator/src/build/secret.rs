//! What a database's node is told where no control plane says it: one owner, one logical database.

use super::{address, database_name, metadata, owner_secret_name};
use crate::api::LumaDatabase;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use lumadb_contract::cluster::{INSTANCE_SECRET_KEY, INSTANCE_SECRET_TYPE, InstanceSecret};
use lumadb_contract::instance::{LogicalDatabaseSpec, RoleSpec};
use lumadb_contract::name::InvalidName;
use lumadb_contract::scram::ScramVerifier;
use lumadb_contract::secret;
use std::collections::BTreeMap;

/// The owner role and the logical database that are made, as with every new data folder.
const OWNER: &str = "owner";
const LOGICAL_DATABASE: &str = "main";

/// Key of the owner's password in its Secret.
pub const PASSWORD_KEY: &str = "password";

/// Client connections that such a database admits.
const CONNECTIONS_MAX: u16 = 100;

/// What a person needs to connect; the password stands nowhere else.
pub fn owner_secret(database: &LumaDatabase, password: &secret::Secret) -> Secret {
    let host = address(database);
    let fields = [
        ("username", OWNER),
        (PASSWORD_KEY, password.expose()),
        ("dbname", LOGICAL_DATABASE),
        ("host", &host),
        ("port", "5432"),
    ];
    let data = fields.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())));
    Secret {
        metadata: metadata(database, owner_secret_name(database)),
        data: Some(BTreeMap::from(data)),
        type_: Some("Opaque".into()),
        ..Secret::default()
    }
}

/// What the node is told beside what the database says. Its generation is that of the database.
pub fn instance_secret(
    database: &LumaDatabase,
    verifier: ScramVerifier,
) -> Result<Secret, InvalidName> {
    let said = InstanceSecret {
        generation: 0,
        serves_database_id: None,
        connections_max: CONNECTIONS_MAX,
        route_number: 1,
        roles: vec![RoleSpec {
            name: OWNER.parse()?,
            verifier,
            owner: true,
        }],
        logical_databases: vec![LogicalDatabaseSpec {
            name: LOGICAL_DATABASE.parse()?,
            owner: OWNER.parse()?,
        }],
        tls: None,
        tls_issued: None,
        edges: None,
        archive: None,
        restore: None,
    };
    // Of a type of ours, all of whose keys are text.
    let json = serde_json::to_vec(&said).unwrap_or_default();
    let data = BTreeMap::from([(INSTANCE_SECRET_KEY.to_owned(), ByteString(json))]);
    Ok(Secret {
        metadata: metadata(database, database_name(database)),
        data: Some(data),
        type_: Some(INSTANCE_SECRET_TYPE.into()),
        ..Secret::default()
    })
}
