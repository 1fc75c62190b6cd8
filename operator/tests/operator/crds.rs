//! The definitions of our resources, as they are installed.

use crate::support::{assert_agrees, repository};
use lumadb_operator::api::{crd_files, crds_yaml};

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let folder = repository().join("deploy/crds");
    let files = crd_files().expect("definitions");
    for (name, text) in &files {
        assert_agrees(&folder.join(name), text);
    }
    let committed = std::fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(committed, files.len(), "a file is left over");
}

#[test]
fn one_stream_holds_all_of_them() {
    let stream = crds_yaml().expect("definitions");
    let kinds = stream
        .lines()
        .filter(|line| *line == "kind: CustomResourceDefinition");
    assert_eq!(kinds.count(), 2);
}

#[test]
fn no_number_has_a_format_that_kubernetes_does_not_know() {
    let stream = crds_yaml().expect("definitions");
    assert!(!stream.contains("format: uint"), "{stream}");
}
