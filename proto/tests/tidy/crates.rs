//! Which crates may be named in which Cargo.toml.

use crate::files::File;

/// A role and what it must not depend on; `*` stands for any ending.
struct Role {
    manifest: &'static str,
    never: &'static [&'static str],
}

const ROLES: [Role; 11] = [
    // The wire is in the middle and knows nobody.
    Role {
        manifest: "proto/Cargo.toml",
        never: &["membrane-*", "sea-orm*", "axum*", "leptos*", "tokio"],
    },
    // Models move on, migrations must not.
    Role {
        manifest: "migration/Cargo.toml",
        never: &["membrane-*", "tonic*", "axum*", "leptos*"],
    },
    Role {
        manifest: "server/entity/Cargo.toml",
        never: &["membrane-*", "tonic*", "axum*", "leptos*"],
    },
    // Engines, tools and sandbox can be used by any host.
    Role {
        manifest: "runner/agent/Cargo.toml",
        never: &[
            "tonic*",
            "sea-orm*",
            "axum*",
            "leptos*",
            "membrane-app",
            "membrane-entity",
            "membrane-migration",
            "membrane-runner",
            "membrane-server",
        ],
    },
    Role {
        manifest: "runner/files/Cargo.toml",
        never: &[
            "membrane-*",
            "tonic*",
            "sea-orm*",
            "axum*",
            "leptos*",
            "tokio*",
        ],
    },
    // It stands in for a model provider, which knows nothing of us.
    Role {
        manifest: "runner/scripted/Cargo.toml",
        never: &["membrane-*", "tonic*", "sea-orm*", "leptos*"],
    },
    // It reaches the control plane over gRPC alone.
    Role {
        manifest: "runner/Cargo.toml",
        never: &[
            "sea-orm*",
            "axum*",
            "leptos*",
            "membrane-app",
            "membrane-entity",
            "membrane-migration",
            "membrane-server",
        ],
    },
    Role {
        manifest: "app/Cargo.toml",
        never: &[
            "sea-orm*",
            "membrane-agent",
            "membrane-entity",
            "membrane-files",
            "membrane-migration",
            "membrane-runner",
            "membrane-server",
        ],
    },
    Role {
        manifest: "app/frontend/Cargo.toml",
        never: &[
            "tonic",
            "sea-orm*",
            "axum*",
            "membrane-agent",
            "membrane-entity",
            "membrane-files",
            "membrane-migration",
            "membrane-proto",
            "membrane-runner",
            "membrane-server",
        ],
    },
    // The embedded runner is a child process, not a library call.
    Role {
        manifest: "server/Cargo.toml",
        never: &["membrane-runner", "membrane-frontend"],
    },
    // It drives the server as a program or a library, and knows nothing of how it stores.
    Role {
        manifest: "end2end/bench/Cargo.toml",
        never: &[
            "sea-orm*",
            "axum*",
            "leptos*",
            "membrane-app",
            "membrane-entity",
            "membrane-frontend",
            "membrane-migration",
        ],
    },
];

pub fn forbidden_dependencies(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in manifests(files) {
        let Some(role) = ROLES.iter().find(|role| role.manifest == file.path) else {
            findings.push(format!(
                "{}: a crate without a role in this test",
                file.path
            ));
            continue;
        };
        for name in dependencies(&file.text) {
            if let Some(rule) = role.never.iter().find(|rule| matches(rule, name)) {
                findings.push(format!("{}: {name} (no {rule})", file.path));
            }
        }
    }
    findings
}

pub fn without_lints(files: &[File]) -> Vec<String> {
    manifests(files)
        .filter(|file| !file.text.contains("\n[lints]\nworkspace = true\n"))
        .map(|file| file.path.clone())
        .collect()
}

/// The manifests of members; the top one only lists them.
fn manifests(files: &[File]) -> impl Iterator<Item = &File> {
    files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
}

/// Names in every table of dependencies, for development and build as well.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut within = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            let (head, last) = table.rsplit_once('.').unwrap_or(("", table));
            within = last.ends_with("dependencies");
            if head.ends_with("dependencies") {
                names.push(last);
            }
        } else if within && let Some((key, _)) = line.split_once(['=', '.']) {
            names.push(key.trim());
        }
    }
    names
}

fn matches(rule: &str, name: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == rule,
    }
}

#[test]
fn dependencies_are_found_in_every_table() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\nb.workspace = true\n\
        [target.'cfg(unix)'.dev-dependencies]\nc = { version = \"1\" }\n\
        [build-dependencies.d]\nversion = \"1\"\n[features]\ne = []\n";
    assert_eq!(dependencies(manifest), ["a", "b", "c", "d"]);
    assert!(matches("tonic*", "tonic-web") && !matches("tonic", "tonic-web"));
}
