//! Dependencies point one way: from `cargo metadata` between crates, from the sources between the
//! layers inside a crate.

use cargo_metadata::{DependencyKind, MetadataCommand};
use lumadb_e2e::{Outcome, tools};
use std::path::{Path, PathBuf};

/// Each crate, and the crates of this workspace that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("lumadb-contract", &[]),
    ("lumadb-billing", &["lumadb-contract"]),
    ("lumadb-web-console", &[]),
    ("lumadb-s3-server", &["lumadb-contract"]),
    ("lumadb-stripe-fake", &["lumadb-contract"]),
    ("lumadb-data-plane", &["lumadb-contract"]),
    ("lumadb-parent", &["lumadb-contract"]),
    ("lumadb-operator", &["lumadb-contract", "lumadb-parent"]),
    (
        "lumadb-control-plane",
        &["lumadb-billing", "lumadb-contract", "lumadb-parent"],
    ),
    ("lumadb-node", &["lumadb-contract", "lumadb-data-plane"]),
    (
        "lumadb-cloud",
        &[
            "lumadb-billing",
            "lumadb-contract",
            "lumadb-control-plane",
            "lumadb-data-plane",
            "lumadb-operator",
            "lumadb-s3-server",
            "lumadb-stripe-fake",
            "lumadb-web-console",
        ],
    ),
    ("lumadb-e2e", &[]),
    ("lumadb-loop-volumes", &[]),
    (
        "lumadb-bench",
        &[
            "lumadb-contract",
            "lumadb-control-plane",
            "lumadb-e2e",
            "lumadb-s3-server",
        ],
    ),
];

/// A folder, and what no source in it may name.
struct Boundary {
    folder: &'static str,
    except: &'static [&'static str],
    forbidden: &'static [&'static str],
    why: &'static str,
}

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        folder: "contract/src",
        except: &[],
        forbidden: &[
            "std::fs",
            "std::net::Tcp",
            "std::net::Udp",
            "UnixStream",
            "std::env",
            "std::process",
            "tokio::",
            "SystemTime",
            "Instant",
            "now_utc",
            "now_v7",
            "rand::",
        ],
        why: "the contract does no I/O, reads no clock and draws no random number",
    },
    Boundary {
        folder: "billing/src",
        // A page of a PDF is measured in floats. What Stripe answers is a matter of I/O, and it wants
        // a tax's rate as a float.
        except: &["document/pdf/canvas.rs", "stripe"],
        forbidden: &[
            "std::fs",
            "std::io",
            "std::net",
            "std::env",
            "std::process",
            "tokio",
            "sqlx",
            "SystemTime",
            "Instant",
            "now_utc",
            "now_v7",
            "rand::",
            "f32",
            "f64",
        ],
        why: "billing takes values and gives values: no I/O, clock, random number or float",
    },
    Boundary {
        folder: "control-plane/src",
        except: &["store"],
        forbidden: &[
            "sqlx::query",
            "query!(",
            "query_as!(",
            "query_scalar!(",
            "QueryBuilder",
            "raw_sql(",
        ],
        why: "only the store knows the control plane's tables",
    },
    Boundary {
        folder: "control-plane/src/http",
        except: &[],
        forbidden: &["sqlx::"],
        why: "handlers parse, call `app` and convert",
    },
    Boundary {
        folder: "control-plane/src/app",
        except: &[],
        forbidden: &[
            "crate::http",
            "crate::workflow::Workflow",
            "crate::runtime::local",
            "axum::",
        ],
        why: "what is allowed and decided does not depend on how it was asked",
    },
    Boundary {
        folder: "control-plane/src/store",
        except: &[],
        forbidden: &[
            "crate::http",
            "crate::workflow",
            "crate::runtime::local",
            "axum::",
        ],
        why: "the store knows tables, not those who use them",
    },
    Boundary {
        folder: "control-plane/src/workflow",
        except: &[],
        forbidden: &["crate::http", "axum::"],
        why: "long work goes on without a request",
    },
    Boundary {
        folder: "control-plane/src/collect",
        except: &[],
        forbidden: &["crate::http", "axum::", "price_book"],
        why: "who collects does not decide what is owed",
    },
    Boundary {
        folder: "control-plane/src/runtime/local",
        except: &[],
        forbidden: &[
            "crate::http",
            "crate::app",
            "crate::store",
            "sqlx::",
            "axum::",
        ],
        why: "a runtime applies what it is given and reports what it sees",
    },
    Boundary {
        folder: "control-plane/src/runtime/kubernetes",
        except: &["mapping_tests.rs"],
        forbidden: &[
            "crate::http",
            "crate::app",
            "crate::store",
            "sqlx::",
            "axum::",
            "lumadb_operator",
        ],
        why: "a runtime applies what it is given and reports what it sees",
    },
    Boundary {
        folder: "control-plane/src/runtime/kubernetes",
        except: &[
            "beacon.rs",
            "cluster.rs",
            "link",
            "mapping_tests.rs",
            "runtime.rs",
            "seen.rs",
            "states_tests.rs",
        ],
        forbidden: &[
            "std::fs",
            "std::net",
            "tokio::net",
            "kube::",
            "Instant",
            "SystemTime",
        ],
        why: "what is written and what is observed follows from values alone",
    },
    Boundary {
        folder: "control-plane/src/identity",
        except: &[],
        forbidden: &["crate::http", "crate::workflow", "axum::"],
        why: "passwords and tokens are the same however they arrive",
    },
    Boundary {
        folder: "data-plane/src",
        except: &[],
        forbidden: &["sqlx", "lumadb_control_plane", "axum"],
        why: "the data plane holds no code of the control plane",
    },
    Boundary {
        folder: "operator/src",
        except: &[],
        forbidden: &["sqlx", "lumadb_control_plane", "lumadb_data_plane", "axum"],
        why: "the operator knows the contract and the cluster alone",
    },
    Boundary {
        folder: "operator/src",
        // What is done in the cluster, and how it is reached.
        except: &["reconcile", "parent", "connect.rs", "clock.rs"],
        forbidden: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "tokio",
            "Client",
            "Api<",
            "SystemTime",
            "Instant",
            "Timestamp::now",
            "rand::",
        ],
        why: "what is admitted, built and decided does no I/O and reads no clock",
    },
    Boundary {
        folder: "lumadb-node/src",
        except: &[],
        forbidden: &["sqlx", "lumadb_control_plane", "axum"],
        why: "a node is small and knows its parent's contract alone",
    },
];

#[test]
fn crates_use_only_what_stands_below_them() -> Outcome<()> {
    let metadata = MetadataCommand::new()
        .manifest_path(tools::workspace().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()?;
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{name} is not in the table of this test"));
            continue;
        };
        for dependency in &package.dependencies {
            let local = dependency.path.is_some() && dependency.name != name;
            // A test may stand on more than the code that it tests.
            let tested = dependency.kind == DependencyKind::Development;
            if local && !tested && !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{name} must not use {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn layers_name_only_what_stands_below_them() -> Outcome<()> {
    let mut wrong = Vec::new();
    for boundary in BOUNDARIES {
        let folder = tools::workspace().join(boundary.folder);
        let mut files = Vec::new();
        rust_files(&folder, &mut files)?;
        assert!(!files.is_empty(), "{} holds no source", folder.display());
        for file in files {
            let inside = file.strip_prefix(&folder)?;
            if boundary
                .except
                .iter()
                .any(|except| inside.starts_with(except))
            {
                continue;
            }
            let source = std::fs::read_to_string(&file)?;
            for (number, line) in code_lines(&source) {
                for forbidden in boundary.forbidden {
                    if line.contains(forbidden) {
                        wrong.push(format!(
                            "{}/{}:{number} names {forbidden}: {}",
                            boundary.folder,
                            inside.display(),
                            boundary.why
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The lines of a source before its own tests, without comments.
fn code_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
