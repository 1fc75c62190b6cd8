//! What the tests share.

use lumadb_operator::api::LumaDatabase;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) const NAME: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a";

/// A database that asks for little, as it comes from the API server.
pub(crate) fn database_json() -> Value {
    json!({
        "apiVersion": "lumadb.cloud/v1alpha1",
        "kind": "LumaDatabase",
        "metadata": {
            "name": NAME,
            "namespace": "tenants",
            "uid": "6f1f2f0e-0000-4000-8000-000000000001",
            "generation": 1,
            "resourceVersion": "1",
        },
        "spec": {
            "compute": {"cpu": "500m", "memory": "2Gi"},
            "storage": {"size": "10Gi"},
        },
    })
}

pub(crate) fn database() -> LumaDatabase {
    serde_json::from_value(database_json()).expect("a database")
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares with a committed file, or writes it with `LUMADB_GOLDEN=write`.
pub(crate) fn assert_agrees(path: &Path, made: &str) {
    if std::env::var_os("LUMADB_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(path, made).expect("written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == made,
        "{} is not what was promised. If the change is meant, run with LUMADB_GOLDEN=write.\n\n{made}",
        path.display()
    );
}
